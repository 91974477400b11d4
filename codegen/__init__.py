"""Program -> optimised Program -> fused kernels -> text. Runs nothing."""
