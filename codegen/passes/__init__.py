"""Passes: pure functions from a Program to an equivalent one. One file a pass."""
