"""One file for each family of primitives; importing a family registers its primitives."""
