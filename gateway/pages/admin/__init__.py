"""The admin pages: one value per page, made of a few parts that they share. Texts come in the language of the page."""
