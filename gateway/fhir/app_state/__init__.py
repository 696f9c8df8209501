"""App state: resources that apps keep for themselves (SMART App Launch 2.2, app-state)."""
