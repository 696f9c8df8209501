"""Tests of `gateway.policy.permission`."""
