"""The few error classes of xnp and the helper that names the user's own line in their texts."""

from __future__ import annotations

import os
import sys
import warnings
from functools import lru_cache
from types import FrameType

_PACKAGE_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
# Not all below the root, which may be a checkout with programs of the user's in it.
OWN_FOLDERS = ("autodiff", "codegen", "numpy_api", "runtime", "testing")
_OWN = (
    _PACKAGE_ROOT + "__init__.py",
    *(_PACKAGE_ROOT + folder + os.sep for folder in OWN_FOLDERS),
)


class ConcretizationError(TypeError):
    """A traced value was about to turn into a constant, which would lose its derivative.

    Broken: ``grad(lambda x: math.sin(x))(1.0)``. Mended: ``grad(lambda x: np.sin(x))(1.0)``.
    """


class UnknownSizeError(ConcretizationError):
    """A size, a dtype or a parameter of a function depends on values that are not known while a
    function is recorded. A call of a jitted function then runs the plain function; ``trace`` and
    its like raise this.

    Broken: ``jit(lambda x: np.sum(x[x > 0])).trace(x)``.
    Mended: ``jit(lambda x: np.sum(np.where(x > 0, x, 0.0))).trace(x)``.
    """


class MutationError(TypeError):
    """A traced value was written into memory that cannot hold it.

    Broken: ``buffer = numpy.zeros(3); buffer[0] = x`` inside a function under ``grad``.
    Mended: ``buffer = xnp.zeros(3); buffer[0] = x``.
    """


class DifferentiationError(TypeError):
    """A transformation was given a function, an argument or a result it cannot work with.

    Broken: ``grad(lambda x: x * 2)(np.ones(3))``, the result is not a scalar.
    Mended: ``grad(lambda x: np.sum(x * 2))(np.ones(3))``.
    """


class BatchingError(ValueError):
    """``vmap`` was given axes that do not fit, or the examples of a batch disagree.

    Broken: ``vmap(lambda x: 1 if x > 0 else 2)(np.array([-1.0, 1.0]))``.
    Mended: ``vmap(lambda x: np.where(x > 0, 1, 2))(np.array([-1.0, 1.0]))``.
    """


class LeakedTracerError(RuntimeError):
    """A traced value was used after the transformation that made it had ended.

    Broken: ``saved = []; grad(lambda x: saved.append(x) or x * x)(1.0); saved[0] + 1``.
    Mended: return the value: ``grad(lambda x: (x * x, x), has_aux=True)(1.0)``.
    """


class UnsupportedError(NotImplementedError):
    """A NumPy function that has no meaning, or no rule yet, on traced arrays.

    Broken: ``grad(lambda x: np.save("f", x) or np.sum(x))(x)``.
    Mended: return the array with ``has_aux=True`` and save it outside.
    """


for _error in (
    ConcretizationError,
    UnknownSizeError,
    MutationError,
    DifferentiationError,
    BatchingError,
    LeakedTracerError,
    UnsupportedError,
):
    _error.__module__ = "xnp"  # where users find them, and what tracebacks show


def user_line() -> str:
    """`` (at file.py:12: y = float(x))``: the innermost frame outside xnp and NumPy."""
    frame = _user_frame()
    return "" if frame is None else _location(frame.f_code.co_filename, frame.f_lineno)


class UserLine:
    """A line of the user's whose text is read when it is printed, as `user_line` gives it."""

    __slots__ = ("filename", "number")

    def __init__(self, filename: str, number: int) -> None:
        self.filename, self.number = filename, number

    def __str__(self) -> str:
        return _location(self.filename, self.number)


def current_line() -> UserLine | str:
    """`user_line`, to be kept: a trace notes one for every operation, and nearly none is shown."""
    frame = _user_frame()
    return "" if frame is None else UserLine(frame.f_code.co_filename, frame.f_lineno)


def warn_user(message: str, category: type[Warning]) -> None:
    """A warning that is the user's own line's, however deep in xnp it arises."""
    frame = _user_frame()
    if frame is None:
        warnings.warn(message, category, stacklevel=2)
        return
    name = frame.f_globals.get("__name__", "<unknown>")
    registry = frame.f_globals.setdefault("__warningregistry__", {})
    where = frame.f_code.co_filename, frame.f_lineno
    warnings.warn_explicit(message, category, *where, name, registry)


def _user_frame() -> FrameType | None:
    frame = sys._getframe(2)
    while frame is not None:
        if is_users(frame.f_code.co_filename):
            return frame
        frame = frame.f_back
    return None


def is_called_by_library(depth: int) -> bool:
    """Whether the frame so far out is one of NumPy's, SciPy's or xnp's code."""
    return not is_users(sys._getframe(depth).f_code.co_filename)


def is_asked_by_user(filename: str) -> bool:
    """Whether the innermost frame outside of this file is the user's, or of a library of theirs."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename == filename and frame.f_back is not None:
        frame = frame.f_back
    return is_users(frame.f_code.co_filename)


@lru_cache(maxsize=1024)
def is_users(name: str) -> bool:
    """Whether a file is none of xnp's, NumPy's or SciPy's."""
    libraries = (sys.modules.get("numpy"), sys.modules.get("scipy"))
    roots = [os.path.dirname(x.__file__) + os.sep for x in libraries if x and x.__file__]
    return not name.startswith((*_OWN, *roots, "<__array_function__"))


def advised(error: Exception, advice: str) -> Exception:
    """The error, saying besides what to write."""
    return reworded(error, f"{error} {advice}")


def reworded(error: Exception, text: str) -> Exception:
    """The error with another text. It stays the one that a trace may have noted."""
    error.args = (text,)
    return error


def error_line(error: BaseException) -> str:
    """`` (at file.py:12: a += b)``: the user's innermost line that an exception came through."""
    found, trace = "", error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if is_users(name):
            found = _location(name, trace.tb_lineno)
        trace = trace.tb_next
    return found


def _location(filename: str, line: int) -> str:
    import linecache  # loads tokenize, a tenth of what `import xnp` costs

    text = linecache.getline(filename, line).strip()
    where = f"{os.path.basename(filename)}:{line}"
    return f" (at {where}: {text})" if text else f" (at {where})"
