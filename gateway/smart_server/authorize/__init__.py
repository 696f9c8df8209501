"""`/authorize`: the request of an app, login, pickers, consent, and the response to the app."""
