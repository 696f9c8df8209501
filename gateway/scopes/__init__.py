"""The language of SMART scopes: grammar, model, parse, algebra, and a plain sentence per scope."""
