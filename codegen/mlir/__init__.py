"""MLIR text for the CPU."""
