"""What `selftest` does: checks of a running gateway from outside, as an app, a user and an attacker meet it."""
