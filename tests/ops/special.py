"""scipy.special's ufuncs, and np.i0."""

import numpy
from op_row import C, Op, R, U
from scipy import special

import xnp as np


def _unary(name, low, high, *more, **options):
    fun = getattr(special, name)
    samples = [
        (U(low, high, 3),),
        (U(low, high),),
        (U(low, high, 0),),
        (U(low, high, 2, 2, seed=1, dtype="f4"),),
        *((x,) for x in more),
    ]
    return Op(f"special_{name}", fun, samples, rtol=512.0, covers=(fun,), **options)


def _binary(name, x, y, *more, **options):
    samples = [
        (U(*x, 3), U(*y, 3, seed=1)),
        (U(*x, 2, 1), U(*y, 3, seed=1)),
        (U(*x), U(*y, seed=1)),
        (U(*x, 2, dtype="f4"), U(*y, 2, dtype="f4", seed=1)),
        *more,
    ]
    fun = getattr(special, name)
    return Op(f"special_{name}", fun, samples, rtol=512.0, covers=(fun,), **options)


def _order(name, low, high):
    """Functions of an order, which is not differentiated, and a variable."""
    return _binary(
        name,
        (0.3, 3.0),
        (low, high),
        (2, U(low, high, 3)),
        (numpy.array([0.0, 1.0, 2.5]), U(low, high, 3)),
        diff=(1,),
        reason="no rule for the order",
    )


POSITIVE = (0.3, 3.0)

ROWS: list[Op] = [
    _unary("erf", -2, 2, C(2) * 0.5),
    _unary("erfc", -2, 2),
    _unary("erfinv", -0.8, 0.8),
    _unary("erfcinv", 0.2, 1.8),
    _unary("ndtr", -2, 2),
    _unary("ndtri", 0.1, 0.9),
    _unary("log_ndtr", -4, 2),
    _unary("expit", -3, 3),
    _unary("log_expit", -3, 3),
    _unary("logit", 0.2, 0.8),
    _unary("gamma", 0.5, 3),
    _unary("gammaln", 0.5, 3),
    _unary("loggamma", 0.5, 3),
    _unary("rgamma", 0.5, 3),
    _unary("psi", 0.5, 3),
    _binary("beta", POSITIVE, POSITIVE),
    _binary("betaln", POSITIVE, POSITIVE),
    _order("gammainc", 0.3, 3.0),
    _order("gammaincc", 0.3, 3.0),
    Op(
        "special_betainc",
        special.betainc,
        [(1.5, 2.5, U(0.2, 0.8, 3)), (numpy.array([1.5, 3.0]), 2.5, U(0.2, 0.8, 2))],
        diff=(2,),
        rtol=512.0,
        reason="no rule for the parameters",
        covers=(special.betainc,),
    ),
    Op(
        "special_zeta",
        special.zeta,
        [(numpy.array([2.0, 3.5]), U(0.5, 3, 2))],
        diff=(1,),
        rtol=512.0,
        reason="no rule for the exponent",
        covers=(special._ufuncs._zeta,),
    ),
    _binary("xlogy", (-2, 2), POSITIVE, (numpy.zeros(2), U(0.3, 3, 2))),
    _binary("xlog1py", (-2, 2), (-0.5, 2)),
    _unary("entr", 0.2, 3),
    _binary("rel_entr", POSITIVE, POSITIVE),
    _binary("kl_div", POSITIVE, POSITIVE),
    *(_unary(name, -3, 3) for name in ("j0", "j1", "i0", "i1")),
    *(_unary(name, 0.3, 3) for name in ("y0", "y1", "k0", "k1", "i0e", "i1e", "k0e", "k1e")),
    *(_order(name, 0.3, 3.0) for name in ("jv", "yv", "iv", "kv", "ive", "kve")),
    _unary("exp10", -1, 1),
    _unary("exp2", -1, 1),
    _unary("expm1", -1, 1),
    _unary("log1p", -0.5, 1),
    _unary("cosm1", -1, 1),
    _unary("cbrt", 0.3, 2),
    _unary("exp1", 0.3, 2),
    _unary("expi", 0.3, 2),
    Op("i0", np.i0, [(R(3),), (R(),), (R(2, dtype="f4"),), (U(8.5, 12, 2),)], covers=(numpy.i0,)),
]
