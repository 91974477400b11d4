"""jit of elementwise programs: the overhead of a call, and fused arithmetic of three sizes."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy

import xnp

from .libraries import compiled, library, on_jax
from .problem import Contenders, Problem

RATE, VOLATILITY = 0.03, 0.25


def multiply_add(a: Any, b: Any) -> Any:
    return a * b + a


def call_overhead() -> Contenders:
    """Two arguments of 4 elements, one result."""
    a, b = numpy.linspace(0.1, 1.0, 4), numpy.linspace(1.0, 2.0, 4)
    found: Contenders = {
        "xnp": partial(xnp.jit(multiply_add), a, b),
        "numpy": partial(multiply_add, a, b),
    }
    if library("jax"):
        found["jax"] = on_jax(multiply_add, a, b)
    if numba := library("numba"):
        found["numba"] = partial(numba.njit(multiply_add), a, b)
    if torch := library("torch"):
        mine = torch.from_numpy(a), torch.from_numpy(b)
        found["torch.compile"] = partial(torch.compile(multiply_add), *mine)
    return found


def sin_exp(np: Any) -> Callable[..., Any]:
    return lambda a, b: np.sin(np.exp(a * b) + a)


def sin_exp_contenders(size: int) -> Contenders:
    rng = numpy.random.default_rng(0)
    arrays = rng.uniform(size=size), rng.uniform(size=size)
    return compiled(
        sin_exp,
        arrays,
        numba=sin_exp(numpy),
        numexpr=lambda ne: lambda a, b: ne.evaluate("sin(exp(a * b) + a)"),
    )


def black_scholes(np: Any) -> Callable[..., Any]:
    """Calls and puts. The normal distribution by 26.2.17 of Abramowitz and Stegun's Handbook of
    Mathematical Functions, which every library can do, to 1e-7.
    """

    def distribution(x: Any) -> Any:
        k = 1.0 / (1.0 + 0.2316419 * np.abs(x))
        p = 1.781477937 + k * (-1.821255978 + k * 1.330274429)
        p = k * (0.319381530 + k * (-0.356563782 + k * p))
        tail = 0.3989422804014327 * np.exp(-0.5 * x * x) * p
        return np.where(x < 0.0, tail, 1.0 - tail)

    def prices(spot: Any, strike: Any, years: Any) -> Any:
        deviation = VOLATILITY * np.sqrt(years)
        d1 = (np.log(spot / strike) + (RATE + 0.5 * VOLATILITY**2) * years) / deviation
        d2 = d1 - deviation
        discounted = strike * np.exp(-RATE * years)
        call = spot * distribution(d1) - discounted * distribution(d2)
        return call, call + discounted - spot

    return prices


def numba_black_scholes() -> Callable[..., Any]:
    """The same source; numba wants inner functions compiled by themselves."""
    prices = black_scholes(numpy)
    inner: Any = prices.__closure__
    numba: Any = library("numba")
    for cell in inner:
        if callable(cell.cell_contents):
            cell.cell_contents = numba.njit(inline="always")(cell.cell_contents)
    return prices


def numexpr_black_scholes(ne: Any) -> Callable[..., Any]:
    """Numexpr takes one expression at a time."""
    k = "(1.0 / (1.0 + 0.2316419 * abs(x)))"
    p = f"(1.781477937 + {k} * (-1.821255978 + {k} * 1.330274429))"
    p = f"({k} * (0.319381530 + {k} * (-0.356563782 + {k} * {p})))"
    tail = f"(0.3989422804014327 * exp(-0.5 * x * x) * {p})"
    formula = f"where(x < 0.0, {tail}, 1.0 - {tail})"
    drift = RATE + 0.5 * VOLATILITY**2

    def prices(spot: Any, strike: Any, years: Any) -> Any:
        known = {"spot": spot, "strike": strike, "years": years, "s": VOLATILITY, "r": RATE}
        known["drift"] = drift
        known["d1"] = ne.evaluate("(log(spot / strike) + drift * years) / (s * sqrt(years))", known)
        known["d2"] = ne.evaluate("d1 - s * sqrt(years)", known)
        known["n1"] = ne.evaluate(formula, {"x": known["d1"]})
        known["n2"] = ne.evaluate(formula, {"x": known["d2"]})
        call = ne.evaluate("spot * n1 - strike * exp(-r * years) * n2", known)
        known["call"] = call
        return call, ne.evaluate("call + strike * exp(-r * years) - spot", known)

    return prices


def black_scholes_contenders(size: int) -> Contenders:
    rng = numpy.random.default_rng(0)
    arrays = [rng.uniform(low, high, size) for low, high in ((80, 120), (80, 120), (0.2, 2.0))]
    numba = numba_black_scholes() if library("numba") else None
    return compiled(black_scholes, arrays, numba=numba, numexpr=numexpr_black_scholes)


PROBLEMS = [
    Problem("call of a*b+a, 4 elements", call_overhead, {"jax": 0.1, "numpy": 1.0}),
    *(
        Problem(f"{name}, {size:g} elements", partial(make, size), {"jax": target})
        for name, make in (
            ("sin(exp(a*b)+a)", sin_exp_contenders),
            ("Black-Scholes", black_scholes_contenders),
        )
        for size, target in ((4_000_000, 0.4), (100_000, 0.4), (1_000, 0.15))
    ),
]
