"""The bounds of a query: how long it may be, and how much a search may ask for."""

# In bytes.
MAX_QUERY = 16 * 1024
MAX_FORM = 64 * 1024
# Query and form of a request that was accepted, every byte of which may have been percent-encoded since.
MAX_SEALED_QUERY = 3 * (MAX_QUERY + MAX_FORM)

MAX_PARAMETERS = 200
# The links of a chained criterion, and the steps of `_has`.
MAX_CHAIN = 5
MAX_HAS = 3
# Matches per page. A larger `_count` is reduced to it, as R4 Search 3.1.1.5.7 permits.
MAX_COUNT = 1000
