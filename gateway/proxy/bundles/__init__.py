"""Batches and transactions: the requests in a Bundle, and the Bundle that answers them."""
