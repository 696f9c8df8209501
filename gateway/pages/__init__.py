"""The HTML pages: one value per page, the templates, and the security headers. No routes and no state."""
