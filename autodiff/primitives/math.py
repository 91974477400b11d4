"""The elementary functions. Derivatives are written so that they stay accurate where the function
is: no differences of nearly equal numbers, no overflow before a quotient."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import PYTHON_DTYPES, Value, dtype_of
from .elementwise import (
    Elementwise,
    conjugate_p,
    equal_p,
    multiply_p,
    strong_multiply_p,
    where,
)

exp_p = Elementwise("exp", np.exp, lambda ans, _x: ans)
exp2_p = Elementwise("exp2", np.exp2, lambda ans, _x: ans * np.log(2.0))
expm1_p = Elementwise("expm1", np.expm1, lambda ans, _x: ans + 1.0)
log_p = Elementwise("log", np.log, lambda _ans, x: 1.0 / x)
sin_p = Elementwise("sin", np.sin, lambda _ans, x: cos_p(x))
cos_p = Elementwise("cos", np.cos, lambda _ans, x: -sin_p(x))
tanh_p = Elementwise("tanh", np.tanh, lambda ans, _x: 1.0 - ans * ans)
sqrt_p = Elementwise("sqrt", np.sqrt, lambda ans, _x: 0.5 / ans, masks=True)


def _power_base(_ans: Value, x: Value, y: Value) -> Value:
    if type(y) in PYTHON_DTYPES:
        if y == 2:
            return 2.0 * x if dtype_of(x).kind != "c" else x + x
        return 0.0 if y == 0 else power_p(x, y - 1) * y
    # y x^(y-1), and 0 for y = 0 even at x = 0
    zero = equal_p(y, 0)
    return strong_multiply_p(y, power_p(x, where(zero, 1, y - 1)))


# x^y log(x); at x = 0 its limit 0 for y > 0.
def _power_exponent(ans: Value, x: Value, _y: Value) -> Value:
    return multiply_p(ans, log_p(where(equal_p(x, 0), 1, x)))


power_p = Elementwise("power", np.power, _power_base, _power_exponent, masks=True)


def sign_of_complex(z: Value) -> Any:
    """z/|z|, and 0 at 0."""
    return conjugate_p(z)
