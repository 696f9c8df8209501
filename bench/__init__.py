"""The benchmark: ratios of CPU per request between the gateway and its peers, measured side by side in one run."""
