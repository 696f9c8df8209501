"""How often who may try: wrong secrets of one account, and requests of one client."""
