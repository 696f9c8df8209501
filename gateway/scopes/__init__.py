"""SMART scopes: grammar, model, parsing, formatting, algebra, and a plain sentence for each scope."""
