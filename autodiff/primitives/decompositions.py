"""Eigenvectors and singular vectors: eigh, eig, svd.

References: M. B. Giles (2008) for eigh and eig; J. Townsend, "Differentiating the singular value
decomposition" (2016); C. Boeddeker et al., "On the computation of complex-valued gradients with
application to statistically optimum beamforming" (2017) for the normalisation of complex
eigenvectors.

**Phases.** Vectors of a decomposition are unique up to a phase (a sign, if real). LAPACK's choice
is a smooth function of the matrix, and it is known: one component of each vector is real. The
tangents below keep it real, so that they are the derivatives of what NumPy returns.

**Repeated values.** With equal eigenvalues l_i = l_j, vectors have no derivative, and only some
functions of them do. The part of a tangent that would mix such vectors is left out, which is exact

* for functions of the values alone that are symmetric in the equal ones, as sum(f(l)); where they
  are not (the largest eigenvalue), it gives a subgradient;
* for functions of the vectors alone that depend on nothing but the span of those that belong
  together, as projectors.

What uses both the values and the vectors of a group, such as V f(L) V^H, is differentiable as a
function of the matrix, but its derivative needs f'(l), which the chain rule through l and V does
not carry: f(l) = l - 1 at the identity has l_ct = V_ct = 0 for an off-diagonal cotangent, yet a
nonzero derivative. Reverse mode sees what is asked for and raises LinAlgError in this case and
where the result depends on the choice of vectors; forward mode gives NaN for the tangents of
vectors that the direction mixes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core import (
    Aval,
    Constant,
    OptionalValues,
    Params,
    Value,
    Values,
    dtype_of,
    ndim_of,
    shape_of,
)
from ..rules import General, fit_dtype, real_dtype, reduce_sum_p
from .checks import refuse_p
from .contraction import matmul_p
from .elementwise import (
    absolute_p,
    equal_p,
    greater_p,
    less_equal_p,
    logical_and_p,
    logical_not_p,
    logical_or_p,
    maximum_p,
    where,
)
from .linalg import solve_p
from .manipulation import concatenate_p
from .matrices import (
    FULL,
    adjoint,
    as_scale,
    column,
    conjugated,
    diagonal,
    eye,
    imag_part,
    is_complex,
    part,
    precision,
    real_part,
    row,
    size_times,
    stack_batch,
    sum_matrices,
    transposed,
    triangle,
)

Outputs = tuple[bool, ...]


class Decomposition(General):
    """A primitive of several outputs, whose rules know which of them are asked for.

    ``tangents(ans, args, x_dots, outputs, exact, **params)`` gives the tangents of the outputs
    marked in ``outputs``, None for others; with ``exact`` False it leaves out what would mix
    vectors of equal values, else that is NaN. ``check(ct, ans, **params)`` raises where leaving it
    out would be wrong.
    """

    def __init__(
        self,
        name: str,
        impl: Callable[..., Any],
        tangents: Callable[..., Any],
        check: Callable[..., None],
        shape: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__(name, impl, tangents, multiple=True, shape=shape)
        self.check = check
        self.batch_rule = stack_batch(2)

    def push(self, ans: Any, args: Values, x_dots: OptionalValues, params: Params) -> Any:
        outputs = tuple(True for _ in ans)
        return self.jvp(ans, args, x_dots, outputs=outputs, exact=True, **params)

    def pull(
        self, ct: Any, ans: Any, args: Values, wanted: Sequence[Any], params: Params, strong: bool
    ) -> OptionalValues:
        self.check(ct, ans, **params)
        outputs = tuple(c is not None for c in ct)
        params = {**params, "outputs": outputs, "exact": False}
        (found,) = self.transposed_jvp(ct, ans, args, wanted, params)
        return [found if found is None else fit_dtype(found, args[0])]

    def keeps(self, parents: Sequence[Any]) -> tuple[Sequence[int], bool]:
        return (0,), True


def _span(w: Value) -> Value:
    """The largest of sorted values in absolute value, with an axis of length 1."""
    if not shape_of(w)[-1]:
        return np.zeros((*shape_of(w)[:-1], 1), real_dtype(dtype_of(w)))
    first, last = part(w, slice(0, 1)), part(w, slice(-1, None))
    return maximum_p(absolute_p(first), absolute_p(last))


def _off_diagonal(n: Any) -> Any:
    return logical_not_p(eye(n, n, 0, np.dtype(bool)))


def _equal_pairs(gap: Value, size: Value, like: Value) -> Value:
    """Which pairs of different values are equal, up to rounding in values of that size."""
    n = shape_of(gap)[-1]
    limit = size * size_times(n, precision(like), like)
    return logical_and_p(less_equal_p(absolute_p(gap), limit), _off_diagonal(n))


def _divide_gap(x: Value, gap: Value, equal: Value, exact: bool) -> Value:
    """``x / gap``, zero on the diagonal and between equal values; with ``exact`` NaN between
    equal values that x would mix.
    """
    n = shape_of(gap)[-1]
    kind = dtype_of(gap).type
    skip = logical_or_p(equal, eye(n, n, 0, np.dtype(bool)))
    quotient = where(skip, kind(0), x) / where(skip, kind(1), gap)
    if not exact:
        return quotient
    noise = as_scale(sum_matrices(absolute_p(x))) * size_times(n, 4 * precision(x), x)
    mixed = logical_and_p(equal, greater_p(absolute_p(x), noise))
    return where(mixed, kind(np.nan), quotient)


def _phases(v_dot: Value, v: Value, at: int) -> Value:
    """The imaginary factors f with which v_dot + v f keeps component ``at`` of vectors real."""
    one = slice(at, at + 1)
    turn = _quotient(imag_part(part(v_dot, one, FULL)), real_part(part(v, one, FULL)))
    return turn * -1j


def _quotient(x: Value, y: Value) -> Value:
    """``x / y``, 0 where y is 0."""
    zero = equal_p(y, 0)
    kind = dtype_of(y).type
    return where(zero, kind(0), x) / where(zero, kind(1), y)


_ADVICE = (
    "Functions of the values alone (eigvalsh, svdvals) that treat equal values alike, and of the "
    "vectors alone that depend only on their span, have derivatives; else make the values differ "
    "by adding a small perturbation to the matrix."
)
_BOTH = (
    "{name}: the derivative of a function of both values and vectors was asked for, but {values} "
    "of the matrix are equal, and the chain rule through them loses a part of it. " + _ADVICE
)
_CHOICE = (
    "{name}: the result depends on the choice of vectors that belong to equal {values} of the "
    "matrix, so it has no derivative. " + _ADVICE
)


def _refuse(bad: Value, text: str, name: str, values: str = "") -> None:
    refuse_p(bad, error=np.linalg.LinAlgError, message=text.format(name=name, values=values))


def _large(x: Value, like: Value) -> Value:
    """Which elements of x are more than noise of results of the size of ``like``."""
    limit = as_scale(sum_matrices(absolute_p(like))) * float(np.sqrt(precision(like)))
    return greater_p(absolute_p(x), limit)


def _check_groups(
    name: str,
    values: str,
    equal: Value,
    value_ct: Value | None,
    mixing: Value,
    asymmetric: Value,
) -> None:
    """``mixing``: the cotangent of the matrix that mixes vectors; ``asymmetric``: its part that
    changes with the choice of vectors.
    """
    _refuse(logical_and_p(equal, _large(asymmetric, mixing)), _CHOICE, name, values)
    if value_ct is not None:
        used = logical_or_p(
            logical_not_p(equal_p(mixing, 0)), logical_not_p(equal_p(column(value_ct), 0))
        )
        _refuse(logical_and_p(equal, used), _BOTH, name, values)


def _check_phases(name: str, v: Value, at: int, mixing: Value) -> None:
    """Raises where the result depends on phases that LAPACK chooses by a component that is zero."""
    if not is_complex(v) or not shape_of(v)[-1]:
        return
    size = absolute_p(part(v, at, FULL))
    free = less_equal_p(size, size_times(shape_of(v)[-2], precision(v), v))
    used = diagonal(_large(mixing - adjoint(mixing), mixing))
    _refuse(logical_and_p(free, used), _PHASE, name)


_PHASE = (
    "{name}: the result depends on the phases of complex vectors where those cannot be "
    "differentiated (the component that is made real is zero), so it has no derivative. Use what "
    "does not depend on phases, as abs(V), or divide each vector by the phase of a component that "
    "is not zero."
)


# A V = V L with V^H V = 1: V^H dA V = dL + [W, L] with W = V^H dV antihermitian, so
# dl_i = (V^H dA V)_ii and W_ij = (V^H dA V)_ij / (l_j - l_i). LAPACK reads one triangle of A, and
# makes the first component of every vector real for the lower triangle, the last for the upper.
def _eigh_tangents(
    ans: Any, args: Any, x_dots: Any, *, outputs: Outputs, exact: bool, uplo: str
) -> Any:
    w, v = ans
    p = matmul_p(matmul_p(adjoint(v), triangle(x_dots[0], uplo)), v)
    w_dot = real_part(diagonal(p)) if outputs[0] else None
    if not outputs[1]:
        return w_dot, None
    gap = row(w) - column(w)
    equal = _equal_pairs(gap, column(_span(w)), w)
    v_dot = matmul_p(v, _divide_gap(p, gap, equal, exact))
    n = shape_of(w)[-1]
    if is_complex(v) and n:
        v_dot = v_dot + v * _phases(v_dot, v, 0 if uplo == "L" else n - 1)
    return w_dot, v_dot


def _eigh_check(ct: Any, ans: Any, *, uplo: str) -> None:
    (w_ct, v_ct), (w, v) = ct, ans
    if v_ct is None:
        return
    gap = row(w) - column(w)
    equal = _equal_pairs(gap, column(_span(w)), w)
    mixing = matmul_p(transposed(v), v_ct)
    _check_groups("eigh", "eigenvalues", equal, w_ct, mixing, mixing - adjoint(mixing))
    _check_phases("eigh", v, 0 if uplo == "L" else -1, mixing)


eigh_p = Decomposition(
    "eigh",
    lambda a, *, uplo: tuple(np.linalg.eigh(a, uplo)),
    _eigh_tangents,
    _eigh_check,
    lambda a, *, uplo: (Aval(a.shape[:-1], real_dtype(a.dtype)), a),
)


# A V = V L: V^-1 dA V = dL + [W, L] with W = V^-1 dV, so W_ij is as for eigh off the diagonal. The
# diagonal is what keeps each column's norm 1 and its largest component real (LAPACK's geev):
# with dv the off-diagonal part, dv - v Re(v^H dv), then a phase.
def _eig_tangents(ans: Any, args: Any, x_dots: Any, *, outputs: Outputs, exact: bool) -> Any:
    w, v = ans
    p = solve_p(v, matmul_p(x_dots[0], v))
    w_dot = diagonal(p) if outputs[0] else None
    if not outputs[1]:
        return w_dot, None
    gap = row(w) - column(w)
    v_dot = matmul_p(v, _divide_gap(p, gap, _eig_equal(w, gap), exact))
    rows = ndim_of(v) - 2
    length = reduce_sum_p(real_part(conjugated(v) * v_dot), axes=(rows,))
    v_dot = v_dot - v * row(length)
    if is_complex(v):
        largest = largest_mask_p(v)
        turn = _quotient(
            imag_part(reduce_sum_p(v_dot * largest, axes=(rows,))),
            real_part(reduce_sum_p(v * largest, axes=(rows,))),
        )
        v_dot = v_dot - v * row(turn * 1j)
    return w_dot, v_dot


def _eig_equal(w: Value, gap: Value) -> Value:
    n = shape_of(w)[-1]
    total = reduce_sum_p(absolute_p(w), axes=(ndim_of(w) - 1,))
    return _equal_pairs(gap, as_scale(total) / max(n, 1), w)


def _eig_check(ct: Any, ans: Any) -> None:
    (w_ct, v_ct), (w, v) = ct, ans
    if v_ct is None:
        return
    mixing = matmul_p(transposed(v), v_ct)
    equal = _eig_equal(w, row(w) - column(w))
    _check_groups("eig", "eigenvalues", equal, w_ct, mixing, mixing)


# It has no shape rule: the results of a real matrix are real if all its eigenvalues are.
eig_p = Decomposition("eig", lambda a: tuple(np.linalg.eig(a)), _eig_tangents, _eig_check)
eig_p.instead = "Of a symmetric matrix np.linalg.eigh(a) knows them."


def _largest_mask(v: Any) -> Any:
    size = np.abs(v)
    first = np.argmax(size, axis=-2, keepdims=True) if size.size else np.zeros(size.shape, int)
    return (np.arange(v.shape[-2])[:, None] == first).astype(size.dtype)


# 1 at the largest component of every column, 0 elsewhere.
largest_mask_p = Constant(
    "largest_mask",
    _largest_mask,
    shape=lambda v: Aval(v.shape, real_dtype(v.dtype)),
    batch=stack_batch(2),
)


# A = U S V^H. With P = U^H dA V and the antihermitian X = U^H dU, Y = V^H dV:
# P = X S + dS - S Y, so ds_i = Re P_ii, and off the diagonal, adding and subtracting the adjoint,
#     X + Y = (P + P^H)_ij / (s_j - s_i),    X - Y = (P - P^H)_ij / (s_j + s_i).
# The second is well conditioned at equal values, so U V^H is exact there. On the diagonal X - Y is
# i Im(P_ii) / s_i, and LAPACK makes the first component real of V's columns (m >= n) or U's.
# Components outside the range are dU_out = (1 - U U^H) dA V / S, and for V likewise. The extra
# columns U2 of full_matrices move as they must, dU2 = -U dU^H U2, without turning in their span.
def _svd_tangents(
    ans: Any, args: Any, x_dots: Any, *, outputs: Outputs, exact: bool, full: bool
) -> Any:
    u, s, v, u_more, v_more = _thin(ans, full)
    a_dot = x_dots[0]
    a_v = matmul_p(a_dot, v)
    p = matmul_p(adjoint(u), a_v)
    zero = _zero_values(s, ans)
    s_dot = where(zero, dtype_of(s).type(0), real_part(diagonal(p)))
    if not (outputs[0] or outputs[2]):
        return None, s_dot, None
    x, y = _svd_rotations(p, s, zero, exact)
    u_dot = _svd_side(u, a_v, p, x, s, zero, exact)
    v_dot = _svd_side(v, matmul_p(adjoint(a_dot), u), adjoint(p), y, s, zero, exact)
    if is_complex(u) and shape_of(s)[-1]:
        u_dot, v_dot = _svd_phases(u, v, u_dot, v_dot, p, s)
    if u_more is not None:
        u_dot = _with_more(u, u_dot, u_more)
    if v_more is not None:
        v_dot = _with_more(v, v_dot, v_more)
    return (
        u_dot if outputs[0] else None,
        s_dot if outputs[1] else None,
        adjoint(v_dot) if outputs[2] else None,
    )


def _thin(ans: Any, full: bool) -> tuple[Any, ...]:
    """U, S, V and, if there are any, the extra columns of U and V."""
    u, s, vh = ans
    v = adjoint(vh)
    m, n, k = shape_of(u)[-1], shape_of(v)[-1], shape_of(s)[-1]
    thin, more = slice(0, k), slice(k, None)
    return (
        part(u, FULL, thin) if m > k else u,
        s,
        part(v, FULL, thin) if n > k else v,
        part(u, FULL, more) if m > k else None,
        part(v, FULL, more) if n > k else None,
    )


def _zero_values(s: Value, ans: Any) -> Value:
    """Which singular values are zero, up to rounding."""
    size = max(shape_of(ans[0])[-2], shape_of(ans[2])[-1])
    return less_equal_p(s, _span(s) * size_times(size, precision(s), s))


def _svd_rotations(p: Value, s: Value, zero: Value, exact: bool) -> tuple[Value, Value]:
    gap, total = row(s) - column(s), row(s) + column(s)
    equal = _equal_pairs(gap, column(_span(s)), s)
    both_zero = logical_and_p(row(zero), column(zero))
    both_zero = logical_and_p(both_zero, _off_diagonal(shape_of(s)[-1]))
    plus = _divide_gap(p + adjoint(p), gap, logical_or_p(equal, both_zero), exact)
    minus = _divide_gap(p - adjoint(p), total, both_zero, exact)
    return (plus + minus) * 0.5, (plus - minus) * 0.5


def _svd_side(
    u: Value, a_v: Value, p: Value, x: Value, s: Value, zero: Value, exact: bool
) -> Value:
    """The tangent of U (or V) without phases: inside its range by ``x``, and out of it."""
    inside = matmul_p(u, x)
    if shape_of(u)[-2] == shape_of(u)[-1]:
        return inside
    kind = dtype_of(s).type
    out = (a_v - matmul_p(u, p)) / row(where(zero, kind(1), s))
    return inside + where(row(zero), kind(np.nan if exact else 0), out)


def _svd_phases(
    u: Value, v: Value, u_dot: Value, v_dot: Value, p: Value, s: Value
) -> tuple[Value, Value]:
    turn = row(_quotient(imag_part(diagonal(p)), s) * 1j)  # of U against V
    if shape_of(u)[-2] >= shape_of(v)[-2]:
        both = _phases(v_dot, v, 0)
        return u_dot + u * (both + turn), v_dot + v * both
    both = _phases(u_dot, u, 0)
    return u_dot + u * both, v_dot + v * (both - turn)


def _with_more(u: Value, u_dot: Value, more: Value) -> Value:
    moved = -matmul_p(u, matmul_p(adjoint(u_dot), more))
    return concatenate_p(u_dot, moved, axis=ndim_of(u) - 1)


def _svd_check(ct: Any, ans: Any, *, full: bool) -> None:
    u_ct, s_ct, vh_ct = ct
    if u_ct is None and vh_ct is None:
        return
    u, s, v, _, _ = _thin(ans, full)
    sides = []
    zero = _zero_values(s, ans)
    if u_ct is not None:
        _check_side("U", ans[0], u_ct, u, zero)
        sides.append(matmul_p(transposed(u), part(u_ct, FULL, slice(0, shape_of(s)[-1]))))
    if vh_ct is not None:
        whole, v_ct = adjoint(ans[2]), adjoint(vh_ct)
        _check_side("V", whole, v_ct, v, zero)
        sides.append(matmul_p(transposed(v), part(v_ct, FULL, slice(0, shape_of(s)[-1]))))
    together = sides[0] if len(sides) == 1 else sides[0] + sides[1]
    gap = row(s) - column(s)
    equal = _equal_pairs(gap, column(_span(s)), s)
    asymmetric = together - adjoint(together)
    _check_groups("svd", "singular values", equal, s_ct, together, asymmetric)
    tall = shape_of(u)[-2] >= shape_of(v)[-2]
    _check_phases("svd", v if tall else u, 0, together)
    both_zero = logical_and_p(logical_and_p(row(zero), column(zero)), equal)
    for side in sides:
        _check_groups("svd", "zero singular values", both_zero, None, side, side - adjoint(side))


def _check_side(name: str, whole: Value, ct: Value, u: Value, zero: Value) -> None:
    """Raises where the result depends on vectors of one side that only a choice determines:
    those of zero singular values where others are orthogonal to the range too, and the extra
    ones of full_matrices.
    """
    m, k = shape_of(u)[-2:]
    if m == k:
        return
    thin = part(ct, FULL, slice(0, k))
    out = thin - matmul_p(conjugated(u), matmul_p(transposed(u), thin))
    _refuse(logical_and_p(_large(out, ct), row(zero)), _CHOICE, "svd", "zero singular values")
    if shape_of(whole)[-1] > k:
        more, more_ct = part(whole, FULL, slice(k, None)), part(ct, FULL, slice(k, None))
        turning = matmul_p(transposed(more), more_ct)
        _refuse(_large(turning - adjoint(turning), more_ct), _EXTRA, name)


_EXTRA = (
    "svd: the result depends on the choice of the extra columns of {name} that full_matrices=True "
    "gives, so it has no derivative. Only their span has; write full_matrices=False if they are "
    "not needed."
)


def _svd_shape(a: Aval, *, full: bool) -> Any:
    *lead, m, n = a.shape
    k = min(m, n)
    return (
        Aval((*lead, m, m if full else k), a.dtype),
        Aval((*lead, k), real_dtype(a.dtype)),
        Aval((*lead, n if full else k, n), a.dtype),
    )


svd_p = Decomposition(
    "svd",
    lambda a, *, full: tuple(np.linalg.svd(a, full_matrices=full)),
    _svd_tangents,
    _svd_check,
    _svd_shape,
)
