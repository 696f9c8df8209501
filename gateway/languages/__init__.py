"""The languages of the pages: their catalogues of texts (GNU gettext), and which one a person reads."""
