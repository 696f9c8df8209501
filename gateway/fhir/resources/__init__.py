"""Resources, Bundles, compartments, CapabilityStatement and OperationOutcome: reading, checks and writing."""
