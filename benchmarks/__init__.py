"""xnp beside NumPy, autograd and unjitted JAX: ``python -m benchmarks``, or ``make bench``."""

import os

# One thread for BLAS, set before NumPy is loaded: what is compared is the work around the kernels,
# and threads that wait for busy cores would drown it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
