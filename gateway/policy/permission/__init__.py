"""What an access token permits, compiled once per token: the common ground of the three locks.

The claims of a token become an access (claims.py). The access and the operator's rules become a grant (grant.py), which
compiles one permission for each resource type and each set of scope letters. A permission consists of units, one for
each scope (unit.py).
"""
