"""xnp.polynomial: NumPy's series of polynomials, and the classes."""

import numpy
from op_row import C, Op, R, U

import xnp as np

P = np.polynomial
X = numpy.linspace(-0.9, 0.8, 6)
SERIES = {
    "poly": P.polynomial,
    "cheb": P.chebyshev,
    "herm": P.hermite,
    "herme": P.hermite_e,
    "lag": P.laguerre,
    "leg": P.legendre,
}


def _row(name, fun, *samples, **options):
    return Op("series_" + name, fun, samples, **options)


def _series(prefix, module):
    def its(name):
        return getattr(module, prefix + name)

    rows = [
        _row(prefix + "val", its("val"), (X, R(4)), (0.3, R(1)), (R(2), R(3, 2)), (C(3), R(2))),
        _row(prefix + "val2d", its("val2d"), (X, X[::-1], R(2, 3))),
        _row(prefix + "grid2d", its("grid2d"), (X[:2], X[:3], R(2, 3))),
        _row(prefix + "mul", its("mul"), (R(3), R(2))),
        _row(prefix + "add", its("add"), (R(3), R(2))),
        _row(prefix + "div", its("div"), (R(4), R(2, seed=1))),
        _row(prefix + "pow", lambda c: its("pow")(c, 3), (R(2),)),
        _row(prefix + "der", lambda c: its("der")(c, 2), (R(5),), (R(4, 2),)),
        _row(prefix + "int", lambda c: its("int")(c, 2, [1.5, 0.5]), (R(3),)),
        _row(prefix + "vander", lambda x: its("vander")(x, 3), (X,), (R(2, 2),)),
        _row(prefix + "fromroots", its("fromroots"), (R(3),)),
        _row(
            prefix + "roots",
            its("roots"),
            (numpy.array([-0.3, 0.2, 1.0]),),
            rtol=1e4,
            reason="eigenvalues",
        ),
        _row(
            prefix + "fit",
            lambda x, y: its("fit")(x, y, 2),
            (numpy.linspace(0.1, 5.0, 6) if prefix == "lag" else X, R(6)),
            rtol=1e4,
            reason="a least squares problem's condition number",
        ),
    ]
    if prefix != "poly":
        rows += [
            _row("poly2" + prefix, getattr(module, "poly2" + prefix), (R(4),)),
            _row(prefix + "2poly", getattr(module, prefix + "2poly"), (R(4),)),
            _row(prefix + "weight", its("weight"), (U(0.1, 0.9, 4),)),
        ]
    return rows


ROWS: list[Op] = [
    *(row for prefix, module in SERIES.items() for row in _series(prefix, module)),
    _row("call", P.Chebyshev([1.0, 2.0, 3.0], domain=[0, 2]), (U(0, 2, 4),)),
    _row("coefficients", lambda c, x: P.Legendre(c)(x), (R(3), U(-1, 1, 2)), (R(3), 0.5)),
    _row(
        "arithmetic",
        lambda c, d: ((P.Polynomial(c) * P.Polynomial(d)).deriv() + 2.0).integ()(0.5),
        (R(3), R(2)),
    ),
    _row("composition", lambda c: P.Polynomial(c)(P.Polynomial([1.0, 2.0])).coef, (R(3),)),
    _row(
        "fit",
        lambda x, y: P.Polynomial.fit(x, y, 2).convert().coef,
        (X, R(6)),
        rtol=1e4,
        reason="a least squares problem's condition number",
    ),
]
