"""Users and clients as the store knows them: registered, configured at the last start, disabled, and where known."""
