"""One validated, frozen configuration, with every problem reported at once."""
