"""xnp: NumPy programs, unchanged: differentiated to any order, vmapped, compiled.

``import xnp as np`` gives every public name of NumPy and the transformations below. A name is
NumPy's own object (``xnp.sin is numpy.sin``) wherever NumPy's dispatch reaches traced arrays.
"""

import importlib as _importlib
from typing import TYPE_CHECKING as _TYPE_CHECKING

import numpy as _numpy

from .autodiff.differentiate import grad, jvp, linearize, stop_gradient, value_and_grad, vjp
from .autodiff.dispatch import LATER as _LATER
from .autodiff.errors import (
    BatchingError,
    ConcretizationError,
    DifferentiationError,
    LeakedTracerError,
    MutationError,
    UnknownSizeError,
    UnsupportedError,
)
from .autodiff.jacobians import derivative, hessian, hvp, jacfwd, jacobian, jacrev
from .autodiff.vectorize import vmap
from .numpy_api.namespace import OURS as _OURS

if _TYPE_CHECKING:
    from numpy import *  # noqa: F403 # pyright: ignore[reportWildcardImportFromLibrary] - meant

    from .autodiff.choices import checkpoint, cond, switch
    from .autodiff.control import fori_loop, scan, while_loop
    from .autodiff.control import map as map  # not in __all__: a star import leaves Python's own
    from .runtime import disk_cache as cache
    from .runtime.debug import debug
    from .runtime.jit import explain, jit
    from .runtime.profile import profile
    from .runtime.threads import threads

__all__ = [
    "BatchingError",
    "ConcretizationError",
    "DifferentiationError",
    "LeakedTracerError",
    "MutationError",
    "UnknownSizeError",
    "UnsupportedError",
    "cache",
    "checkpoint",
    "cond",
    "debug",
    "derivative",
    "explain",
    "fori_loop",
    "grad",
    "hessian",
    "hvp",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jit",
    "jvp",
    "linearize",
    "profile",
    "scan",
    "stop_gradient",
    "switch",
    "threads",
    "value_and_grad",
    "vjp",
    "vmap",
    "while_loop",
]
__all__ += [name for name in _numpy.__all__ if name not in __all__]

# What is loaded on first use: together as large as all the rest.
_LAZY = {
    **dict.fromkeys(["checkpoint", "cond", "switch"], ".autodiff.choices"),
    **dict.fromkeys(["fori_loop", "map", "scan", "while_loop"], ".autodiff.control"),
    **dict.fromkeys(["explain", "jit"], ".runtime.jit"),
    "debug": ".runtime.debug",
    "profile": ".runtime.profile",
    "threads": ".runtime.threads",
    "cache": ".runtime.disk_cache",
    "testing": ".testing",
    "polynomial": ".polynomial",
}
_MODULES = {"cache", "testing", "polynomial"}

# NumPy's submodules that are not loaded yet (numpy.random, numpy.ma) come through __getattr__. So
# do testing and polynomial, which are ours, even where NumPy's are loaded.
globals().update({name: vars(_numpy)[name] for name in _numpy.__all__ if name in vars(_numpy)})
globals().update(_OURS | {"__version__": "0.1.0"})
globals().pop("testing", None)
globals().pop("polynomial", None)


def __getattr__(name: str) -> object:
    if name in _LAZY:
        module = _importlib.import_module(_LAZY[name], __name__)
        globals()[name] = found = module if name in _MODULES else getattr(module, name)
        return found
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(_numpy, name)
    except AttributeError as error:  # NumPy's text tells what became of a name it removed
        raise AttributeError(str(error).replace("module 'numpy'", f"module {__name__!r}")) from None
    globals()[name] = value
    return value


_LATER["scan"] = lambda: __getattr__("scan")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
