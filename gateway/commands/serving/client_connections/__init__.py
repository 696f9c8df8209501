"""The connections of clients: how many, how slow, and how a response leaves on them."""
