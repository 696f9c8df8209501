"""Lock one and two for writes: what a write needs to know, and what is sent once it is known (enforcement.md 4)."""
