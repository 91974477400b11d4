"""``xnp.polynomial``: numpy.polynomial on traced arrays.

NumPy's polynomial series (power, Chebyshev, Legendre, Hermite, Laguerre) are ordinary NumPy
programs, but they convert their arguments with ``np.array``, which does not dispatch. They become
differentiable like every other program: by ``import xnp as np``. So this package is NumPy's own
code, loaded a second time under our name, with ``np`` being xnp in it. The root's ``__getattr__``
imports it on first use.
"""

from __future__ import annotations

import importlib.util
import sys
from functools import partial
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from ..autodiff.dispatch import UNSUPPORTED_MODULES

_XNP = __name__.partition(".")[0]
_NAME = f"{_XNP}.polynomial"


class _SecondCopy:
    """Finds and loads ``xnp.polynomial`` and its modules from NumPy's files."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != _NAME and not name.startswith(_NAME + "."):
            return None
        original = importlib.util.find_spec("numpy" + name[len(_XNP) :])
        if original is None or original.origin is None:
            return None
        return importlib.util.spec_from_file_location(
            name,
            original.origin,
            loader=_SecondCopy,  # pyright: ignore[reportArgumentType] - duck typed
            submodule_search_locations=original.submodule_search_locations,
        )

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        return None

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        assert module.__spec__ is not None
        original = importlib.util.find_spec("numpy" + module.__name__[len(_XNP) :])
        assert original is not None
        exec(original.loader.get_code(original.name), vars(module))  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue] - NumPy comes as files
        for name, value in list(vars(module).items()):
            if type(value).__name__ == "_ArrayFunctionDispatcher":
                setattr(module, name, value.__wrapped__)
        if hasattr(module, "np"):
            vars(module)["np"] = sys.modules[_XNP]
        if module.__name__.endswith(".polyutils"):
            vars(module)["mapdomain"] = partial(_mapdomain, module)


def _mapdomain(polyutils: Any, x: Any, old: Any, new: Any) -> Any:
    """``x`` mapped from the domain ``old`` to ``new``.

    NumPy's makes an array of objects of an x that is a polynomial itself, as in p(q) and convert().
    """
    if isinstance(x, (list, tuple)):
        x = polyutils.np.asarray(x)
    offset, scale = polyutils.mapparms(old, new)
    return offset + scale * x


sys.meta_path.insert(0, _SecondCopy)
# The few functions there that dispatch would get no further than their first np.array.
UNSUPPORTED_MODULES["numpy.polynomial.polynomial"] = (
    "NumPy's functions of polynomial series make plain arrays of their arguments",
    "use the same function from xnp.polynomial",
)
