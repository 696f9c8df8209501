"""The API of the admin port: one table of operations, which is served and described."""
