"""Rules for the ufuncs of scipy.special, and np.i0, whose derivative is one of them.

SciPy is loaded by whoever has one of its ufuncs already; for np.i0, on first use.

Not here, and therefore errors: functions whose derivative would need others that SciPy does not
have, or that only a formula gives that subtracts nearly equal numbers (erfcx, exprel, dawsn).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ..autodiff import dispatch
from ..autodiff.core import Primitive, Value, dtype_of
from ..autodiff.dispatch import implements
from ..autodiff.errors import UnsupportedError, user_line
from ..autodiff.handles import ARRAY0D, value_of, wrap
from ..autodiff.loading import uninterrupted
from ..autodiff.primitives.elementwise import (
    Elementwise,
    divide_p,
    equal_p,
    less_p,
    logical_and_p,
    negative_p,
    reciprocal,
    result_like,
    sign_p,
    subtract_p,
    where,
)
from ..autodiff.primitives.math import LOG10, cos_p, exp_p, log1p_p, log_p, sin_p
from ..autodiff.rules import convert
from .hazard import hazard

Rules = dict[str, Any]

TWO_OVER_ROOT_PI = 2.0 / math.sqrt(math.pi)
ONE_OVER_ROOT_TWO_PI = 1.0 / math.sqrt(2.0 * math.pi)


@uninterrupted
def _special() -> Any:
    import scipy.special  # 0.1 s, which `import xnp` must not cost

    return scipy.special


def _no_derivative(name: str, argument: str) -> Callable[..., Value]:
    """The partial for an argument by which nothing here differentiates."""

    def partial(*_args: Value) -> Value:
        raise UnsupportedError(
            f"scipy.special.{name} has no rule for the derivative with respect to {argument}"
            f"{user_line()}; pass {argument} as xnp.stop_gradient({argument}), or as a number "
            "that is not differentiated."
        )

    return partial


class _Table:
    """Collects primitives, whose partials may read the finished table."""

    def __init__(self) -> None:
        self.special = _special()
        self.rules: Rules = {}

    def add(self, name: str, *partials: Any, masks: bool = False) -> None:
        """A ufunc of scipy.special; names that this version does not have are passed over."""
        ufunc = getattr(self.special, name, None)
        if isinstance(ufunc, np.ufunc):
            self.rules[name] = Elementwise(f"scipy.{name}", ufunc, *partials, masks=masks)


@cache
def rules() -> Rules:
    """Name -> primitive, for the functions of scipy.special that have one."""
    table = _Table()
    for family in (_error_functions, _logistic, _gamma_functions, _entropies, _bessel, _others):
        family(table)
    return table.rules


def _late_rules() -> dict[Any, Primitive]:
    return {primitive.impl: primitive for primitive in rules().values() if _is_ufunc(primitive)}


def _is_ufunc(primitive: Primitive) -> bool:
    return isinstance(primitive.impl, np.ufunc)


dispatch.LATE_UFUNCS.append(_late_rules)


def _square(x: Value) -> Value:
    return x * x


def _gauss(x: Value) -> Value:
    return exp_p(negative_p(x * x))


def _error_functions(table: _Table) -> None:
    add, rule = table.add, table.rules
    add("erf", lambda _ans, x: _gauss(x) * TWO_OVER_ROOT_PI)
    add("erfc", lambda _ans, x: _gauss(x) * -TWO_OVER_ROOT_PI)
    # the inverses: 1/f'(ans)
    add("erfinv", lambda ans, _x: exp_p(ans * ans) * (1.0 / TWO_OVER_ROOT_PI))
    add("erfcinv", lambda ans, _x: exp_p(ans * ans) * (-1.0 / TWO_OVER_ROOT_PI))
    add("ndtr", lambda _ans, x: exp_p(_square(x) * -0.5) * ONE_OVER_ROOT_TWO_PI)
    add("ndtri", lambda ans, _x: exp_p(_square(ans) * 0.5) * (1.0 / ONE_OVER_ROOT_TWO_PI))

    rule["hazard"] = hazard(table.special.erfcx)
    add("log_ndtr", lambda _ans, x: rule["hazard"](x))


def _logistic(table: _Table) -> None:
    add, rule = table.add, table.rules
    # the other factor is expit(-x), not 1 - ans, which loses it near 1
    add("expit", lambda ans, x: ans * rule["expit"](negative_p(x)))
    add("log_expit", lambda _ans, x: rule["expit"](negative_p(x)))
    add("softplus", lambda _ans, x: rule["expit"](x))
    add("logit", lambda _ans, x: reciprocal(x * subtract_p(1.0, x)), masks=True)


# 1/gamma has the derivative -psi/gamma, which at 0, -1, -2, ... is infinity times zero. By
# reflection 1/gamma(x) = sin(pi x) gamma(1 - x) / pi, so on the left, with y = 1 - x, it is
#     gamma(y) (cos(pi x) - sin(pi x) psi(y) / pi).
def _rgamma_slope(ans: Value, x: Value, rule: Rules) -> Value:
    if dtype_of(x).kind == "c":
        return negative_p(ans * rule["psi"](x))
    left = less_p(x, 0.5)
    y, angle = where(left, subtract_p(1.0, x), 1), where(left, x, 0) * math.pi
    reflected = rule["gamma"](y) * (cos_p(angle) - sin_p(angle) * rule["psi"](y) * (1.0 / math.pi))
    direct = negative_p(ans * rule["psi"](where(left, 1, x)))
    return where(left, reflected, direct)


def _gamma_functions(table: _Table) -> None:
    add, rule = table.add, table.rules

    def psi(x: Value) -> Value:
        return rule["psi"](x)

    add("gamma", lambda ans, x: ans * psi(x))
    add("gammaln", lambda _ans, x: psi(x))
    add("loggamma", lambda _ans, x: psi(x))
    add("rgamma", lambda ans, x: _rgamma_slope(ans, x, rule))
    # psi^(n)(x) = (-1)^(n+1) n! zeta(n+1, x), and d/dq zeta(s, q) = -s zeta(s+1, q)
    hurwitz = table.special._ufuncs._zeta
    rule["zeta"] = Elementwise(
        "scipy.zeta",
        hurwitz,
        _no_derivative("zeta", "x"),
        lambda _ans, s, q: negative_p(s * rule["zeta"](s + 1.0, q)),
    )

    def trigamma(_ans: Value, x: Value) -> Value:
        if dtype_of(x).kind == "c":
            raise UnsupportedError(
                "scipy.special.psi has no rule for the derivative at complex numbers, which "
                f"second derivatives of gamma, loggamma and rgamma need{user_line()}; SciPy has "
                "polygamma and zeta for real numbers only."
            )
        return rule["zeta"](2.0, x)

    add("psi", trigamma)
    add(
        "beta",
        lambda ans, a, b: ans * (psi(a) - psi(a + b)),
        lambda ans, a, b: ans * (psi(b) - psi(a + b)),
    )
    add(
        "betaln",
        lambda _ans, a, b: psi(a) - psi(a + b),
        lambda _ans, a, b: psi(b) - psi(a + b),
    )

    def gamma_density(a: Value, x: Value) -> Value:
        return exp_p(rule["xlogy"](a - 1.0, x) - x - rule["gammaln"](a))

    add("gammainc", _no_derivative("gammainc", "a"), lambda _ans, a, x: gamma_density(a, x))
    add(
        "gammaincc",
        _no_derivative("gammaincc", "a"),
        lambda _ans, a, x: negative_p(gamma_density(a, x)),
    )
    add(
        "betainc",
        _no_derivative("betainc", "a"),
        _no_derivative("betainc", "b"),
        lambda _ans, a, b, x: exp_p(
            rule["xlogy"](a - 1.0, x)
            + rule["xlog1py"](b - 1.0, negative_p(x))
            - rule["betaln"](a, b)
        ),
    )


def _quotient(x: Value, y: Value) -> Value:
    """``x / y``, and 0 for 0 / 0."""
    nothing = logical_and_p(equal_p(x, 0), equal_p(y, 0))
    return where(nothing, 0, x / where(nothing, 1, y))


def _entropies(table: _Table) -> None:
    add = table.add
    add("xlogy", lambda _ans, _x, y: log_p(y), lambda _ans, x, y: _quotient(x, y), masks=True)
    add(
        "xlog1py",
        lambda _ans, _x, y: log1p_p(y),
        lambda _ans, x, y: _quotient(x, y + 1.0),
        masks=True,
    )
    add("entr", lambda _ans, x: negative_p(log_p(x)) - 1.0, masks=True)
    add(
        "rel_entr",
        lambda _ans, x, y: log_p(divide_p(x, y)) + 1.0,
        lambda _ans, x, y: negative_p(_quotient(x, y)),
        masks=True,
    )
    add(
        "kl_div",
        lambda _ans, x, y: log_p(divide_p(x, y)),
        lambda _ans, x, y: subtract_p(1.0, _quotient(x, y)),
        masks=True,
    )


def _bessel(table: _Table) -> None:
    """Derivatives by the orders beside: no division by x, so 0 is no exception."""
    add, rule = table.add, table.rules

    def beside(name: str, low: float, high: float) -> Callable[[Value, Value], Value]:
        """(low f_(v-1) + high f_(v+1)) / 2 as a function of v and x."""
        return lambda v, x: (
            rule[name](v - 1.0, x) * (0.5 * low) + rule[name](v + 1.0, x) * (0.5 * high)
        )

    def add_family(name: str, low: float, high: float) -> None:
        step = beside(name, low, high)
        zero, one, sign = f"{name[0]}0", f"{name[0]}1", -1.0 if name != "iv" else 1.0
        add(name, _no_derivative(name, "v"), lambda _ans, v, x: step(v, x))
        add(zero, lambda _ans, x: rule[one](x) * sign)
        add(one, lambda _ans, x: step(1.0, x))

    add_family("jv", 1.0, -1.0)
    add_family("yv", 1.0, -1.0)
    add_family("iv", 1.0, 1.0)
    add_family("kv", -1.0, -1.0)

    # e^-|x| I and e^x K: the factor's derivative comes in addition
    scaled_i, scaled_k = beside("ive", 1.0, 1.0), beside("kve", -1.0, -1.0)

    def decay(ans: Value, x: Value) -> Value:
        if dtype_of(x).kind == "c":
            raise UnsupportedError(
                f"scipy.special.ive of complex numbers is not holomorphic{user_line()}; write "
                "iv(v, z) * np.exp(-np.abs(z.real))"
            )
        return sign_p(x) * ans

    add("ive", _no_derivative("ive", "v"), lambda ans, v, x: scaled_i(v, x) - decay(ans, x))
    add("kve", _no_derivative("kve", "v"), lambda ans, v, x: scaled_k(v, x) + ans)
    add("i0e", lambda ans, x: rule["i1e"](x) - decay(ans, x))
    add("i1e", lambda ans, x: scaled_i(1.0, x) - decay(ans, x))
    add("k0e", lambda ans, x: ans - rule["k1e"](x))
    add("k1e", lambda ans, x: scaled_k(1.0, x) + ans)


def _others(table: _Table) -> None:
    add = table.add
    add("exp10", lambda ans, _x: ans * LOG10)
    add("exp2", lambda ans, _x: ans * math.log(2.0))
    add("expm1", lambda _ans, x: exp_p(x))
    add("log1p", lambda _ans, x: reciprocal(x + 1.0))
    add("cosm1", lambda _ans, x: negative_p(sin_p(x)))
    add("cbrt", lambda ans, _x: reciprocal(ans * ans * 3.0), masks=True)
    add("exp1", lambda _ans, x: negative_p(exp_p(negative_p(x)) / x))
    add("expi", lambda _ans, x: exp_p(x) / x)


# I_0' = I_1
i0_p = Elementwise(
    "i0", np.i0, lambda ans, x: convert(rules()["i1"](x), dtype_of(ans)), shape=result_like(np.sin)
)


@implements(np.i0)
def i0(x: Any) -> Any:
    value = value_of(x)
    if dtype_of(value).kind == "c":
        raise TypeError("i0 not supported for complex values")
    if dtype_of(value).kind != "f":
        value = convert(value, np.dtype(float))
    return wrap(i0_p(value), ARRAY0D)  # NumPy's gives arrays, without dimensions too
