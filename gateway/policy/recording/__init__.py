"""Requests without anything of a person: what a decision depends on, recorded, and decided again under other rules."""
