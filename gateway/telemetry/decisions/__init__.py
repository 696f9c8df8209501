"""Decisions that were made: kept for a while, and explained."""
