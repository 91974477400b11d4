"""xnp."""
from numpy import *
from .autodiff import operators, indexing, protocols
from .numpy_api import ufuncs, reductions
from .autodiff.differentiate import *
