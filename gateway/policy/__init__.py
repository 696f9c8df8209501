"""May this token do this: access, decision, narrowing, and the judge of what comes back."""
