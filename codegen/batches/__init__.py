"""Loops over many independent examples, cut into pieces of some examples each."""
