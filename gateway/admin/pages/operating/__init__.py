"""The pages of how the gateway itself does: health, keys, decisions, configuration."""
