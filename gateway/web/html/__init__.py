"""The pages that people meet: a value per page, and its bytes; no routes and no state here."""
