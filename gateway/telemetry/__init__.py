"""What operators see: metrics and one audit line per decision."""
