"""The pages of what apps may do: access that users granted, and launches."""
