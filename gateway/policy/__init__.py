"""Access control: the three locks that every FHIR request passes.

1. **Decide** (`decision/decide.py`): allow or refuse the request, from its interaction and the grant of its token.
2. **Narrow** (`decision/narrow.py`): add criteria to a search, so that the FHIR server finds only what is permitted.
3. **Judge** (`judgement/`): check every resource in the response by the same permission, and drop what it does not
   permit.

The locks share one compiled permission (`permission/`) and one list of reasons (`reasons.py`). Nothing here uses the
network, the clock or the settings: a result depends on the arguments alone (enforcement.md 1).
"""
