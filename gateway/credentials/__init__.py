"""Credentials and their checks: access tokens, client assertions, passwords, and the keys behind them."""
