"""Which resources belong to which compartment."""
