"""Searches and histories: pages that are judged, filled up, and linked by sealed paging links."""
