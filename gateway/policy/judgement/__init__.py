"""Lock three, judge: every resource in a response is checked before it leaves the gateway.

The judge does not trust the FHIR server. It takes the permission that the decision was made with, and it drops what
that permission does not permit and what it cannot read.
"""
