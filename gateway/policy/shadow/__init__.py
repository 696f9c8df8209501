"""Shadow mode: by which grant a request is answered that is not held to its own, and what that would have done."""
