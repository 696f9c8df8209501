"""Locks one and two, decide and narrow: what happens before anything is sent to the FHIR server.

Lock one (decide.py, decide_search.py) allows or refuses a request. Lock two (narrow.py) adds criteria to a search, so
that the FHIR server itself finds only what is permitted. Everything here is a pure function of the request and the
grant. To let a further interaction through, begin with decide.py.
"""
