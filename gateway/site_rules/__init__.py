"""Rules of a site: its own code, which takes away from what scopes permit, under a time limit."""
