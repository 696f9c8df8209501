"""The two public documents: the CapabilityStatement and the SMART configuration."""
