"""Finding patients and visits for the pickers, as the user may see them."""
