"""Which NumPy runs, for the few tests in which its versions differ."""

import numpy

NUMPY = tuple(int(part) for part in numpy.__version__.split(".")[:2])
