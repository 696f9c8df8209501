"""The admin pages: what operators and auditors see of the gateway in a browser, and what operators change there."""
