"""The settings: one validated, frozen configuration, with every problem reported at once."""
