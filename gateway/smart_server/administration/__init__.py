"""What administrators do, at the admin port and by the API below the issuer: clients, users, grants, keys."""
