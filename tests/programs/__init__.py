"""NumPy programs as scientists write them, each one function of the module ``np`` and of arrays.

`tests/test_numpy_programs.py` runs every one of them with numpy and under xnp's transformations.
"""
