"""The admin port: pages and an API for those who run the gateway."""
