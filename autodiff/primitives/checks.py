"""Errors and warnings that values decide.

They are primitives, so that the numbers are looked at whatever traces are around them: of a tape
the values, of a batch all examples. A trace that knows no numbers records them with the rest of the
program. Nothing reads their results.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Aval, Constant, Primitive
from ..errors import user_line, warn_user

_NOTHING = np.bool_(False)


def _refuse(bad: Any, *, error: type[Exception], message: str) -> Any:
    if np.any(bad):
        raise error(message + user_line())
    return _NOTHING


def _warn(bad: Any, *, message: str, category: type[Warning] = RuntimeWarning) -> Any:
    if np.any(bad):
        warn_user(message + user_line(), category)
    return _NOTHING


class _Check(Constant):
    effect = True


def _check(name: str, impl: Any) -> Primitive:
    return _Check(
        name,
        impl,
        shape=lambda bad, **_: Aval((), np.dtype(bool)),
        batch=lambda primitive, size, args, batched, **params: (
            primitive(args[0], **params),
            False,
        ),
    )


# Raises ``error(message)`` if anything in ``bad`` is true.
refuse_p = _check("refuse", _refuse)
# Warns with ``message`` if anything in ``bad`` is true.
warn_p = _check("warn", _warn)
