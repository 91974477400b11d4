"""numpy.linalg: solving, decompositions, norms."""

import numpy
from numpy_version import NUMPY
from op_row import C, I, Op, R

import xnp as np

F32 = numpy.float32
C64 = numpy.complex64


def well(x):
    """A well conditioned matrix near a multiple of the identity."""
    return x + 3 * numpy.eye(x.shape[-2], x.shape[-1], dtype=x.dtype)


def spread(x):
    """A symmetric or Hermitian matrix with eigenvalues far apart."""
    n = x.shape[-1]
    x = (x + numpy.conj(numpy.swapaxes(x, -1, -2))) / 4
    return (x + numpy.diag(2.0 * numpy.arange(n) - n + 0.3)).astype(x.dtype)


def positive(x):
    """A positive definite matrix."""
    return (x @ numpy.conj(numpy.swapaxes(x, -1, -2)) + numpy.eye(x.shape[-1])).astype(x.dtype)


def apart(x):
    """A matrix with singular values far apart and from zero."""
    k = min(x.shape[-2:])
    u, _, vh = numpy.linalg.svd(x, full_matrices=False)
    return ((u * (1.5 * numpy.arange(k, 0, -1))) @ vh).astype(x.dtype)


def low_rank(m, n, r, make=R):
    return make(m, r) @ make(r, n, seed=1)


SQUARE = [
    (well(R(3, 3)),),
    (well(R(2, 3, 3)),),
    (well(C(3, 3)),),
    (well(R(1, 1)),),
    (R(0, 0),),
    (R(0, 2, 2),),
    (well(R(3, 3, dtype=F32)),),
    (well(C(2, 2, 2, dtype=C64)),),
]
ROTATING = numpy.array([[1.0, 2.0, 0.3], [-2.0, 1.0, 0.1], [0.2, 0.5, 4.0]])
INT = (numpy.array([[2, 1], [1, 3]]),)

HERMITIAN = [
    (spread(R(3, 3)),),
    (spread(R(2, 4, 4)),),
    (spread(C(3, 3)),),
    (spread(C(2, 2, 2)),),
    (spread(R(3, 3)) + numpy.triu(R(3, 3), 1),),  # reads one triangle
    (spread(C(3, 3)) + 1j * numpy.eye(3),),
    (R(1, 1),),
    (R(0, 0),),
    (spread(R(3, 3, dtype=F32)),),
]

GENERAL = [
    (well(R(3, 3)),),
    (apart(R(4, 2)),),
    (apart(R(2, 4)),),
    (apart(R(2, 3, 2)),),
    (apart(C(3, 3)),),
    (apart(C(4, 2)),),
    (apart(C(2, 4)),),
    (R(3, 1),),
    (R(1, 3),),
    (apart(R(3, 2, dtype=F32)),),
]
SVD = [(apart(R(3, 3)),), *GENERAL[1:]]
# Before NumPy 2.3 the condition number of a complex matrix came as a complex number.
COND = SVD[:5:4] if NUMPY >= (2, 3) else SVD[:1]

ROWS: list[Op] = [
    Op(
        "solve",
        np.linalg.solve,
        [
            (well(R(3, 3)), R(3)),
            (well(R(3, 3)), R(3, 2)),
            (well(R(2, 3, 3)), R(3)),
            (well(R(2, 3, 3)), R(2, 3, 2)),
            (well(R(3, 3)), R(2, 3, 2)),
            (well(R(2, 1, 3, 3)), R(4, 3, 2)),
            (well(C(3, 3)), C(3)),
            (well(R(3, 3)), C(3, 1)),
            (well(C(3, 3)), R(3)),
            (R(0, 0), R(0)),
            (well(R(2, 2)), R(2, 0)),
            (well(R(3, 3, dtype=F32)), R(3, dtype=F32)),
            (well(R(3, 3, dtype=F32)), R(3)),
            (numpy.array([[2, 1], [1, 3]]), R(2)),
        ],
        covers=(np.linalg.solve,),
    ),
    Op("inv", np.linalg.inv, [*SQUARE, INT], covers=(np.linalg.inv,)),
    Op(
        "tensorinv",
        lambda a: np.linalg.tensorinv(a, ind=1),
        [(well(R(6, 6)).reshape(6, 2, 3),)],
        covers=(np.linalg.tensorinv,),
    ),
    Op(
        "tensorsolve",
        np.linalg.tensorsolve,
        [(well(R(6, 6)).reshape(2, 3, 6), R(2, 3)), (well(C(4, 4)).reshape(4, 2, 2), C(4))],
        covers=(np.linalg.tensorsolve,),
    ),
    Op(
        "tensorsolve_axes",
        lambda a, b: np.linalg.tensorsolve(a, b, axes=(1,)),
        [(well(R(6, 6)).reshape(2, 3, 6).transpose(0, 2, 1), R(2, 3))],
    ),
    *(
        Op(
            f"matrix_power_{n}",
            lambda a, n=n: np.linalg.matrix_power(a, n),
            SQUARE[:3],
            covers=(np.linalg.matrix_power,),
        )
        for n in (0, 1, 2, 3, 5, -1, -2)
    ),
    Op("det", np.linalg.det, [*SQUARE, INT], covers=(np.linalg.det,)),
    Op(
        "det_singular",
        np.linalg.det,
        [
            (low_rank(3, 3, 2),),
            (low_rank(3, 3, 1),),
            (numpy.zeros((2, 2)),),
            (numpy.stack([low_rank(3, 3, 2), well(R(3, 3))]),),
            (low_rank(3, 3, 2, C),),
        ],
        rtol=1e4,
        reason="a value that is 0 is compared to rounding of the elements",
    ),
    Op("slogdet", np.linalg.slogdet, SQUARE, covers=(np.linalg.slogdet,)),
    Op(
        "cholesky",
        np.linalg.cholesky,
        [
            (positive(R(3, 3)),),
            (positive(R(2, 3, 3)),),
            (positive(C(3, 3)),),
            (positive(R(3, 3)) + numpy.triu(R(3, 3), 1),),
            (R(0, 0),),
            (positive(R(2, 2, dtype=F32)),),
        ],
        covers=(np.linalg.cholesky,),
    ),
    Op(
        "cholesky_of_ints",
        np.linalg.cholesky,
        [INT],
        vmap=False,
        reason="random ints are not positive definite",
    ),
    Op(
        "cholesky_upper",
        lambda a: np.linalg.cholesky(a, upper=True),
        [(positive(R(3, 3)),), (positive(C(3, 3)) + numpy.tril(R(3, 3), -1),)],
    ),
    *(
        Op(
            f"qr_{mode}",
            lambda a, mode=mode: np.linalg.qr(a, mode),
            GENERAL,
            covers=(np.linalg.qr,),
        )
        for mode in ("reduced", "complete", "r", "raw")
    ),
    Op("eigh", np.linalg.eigh, HERMITIAN, covers=(np.linalg.eigh,)),
    Op("eigh_upper", lambda a: np.linalg.eigh(a, "U"), HERMITIAN[:6]),
    Op("eigvalsh", np.linalg.eigvalsh, HERMITIAN, covers=(np.linalg.eigvalsh,)),
    Op("eigvalsh_upper", lambda a: np.linalg.eigvalsh(a, UPLO="u"), HERMITIAN[:6]),
    Op(
        "eig",
        np.linalg.eig,
        [
            (spread(R(3, 3)) + R(3, 3) / 9,),
            (ROTATING,),
            (numpy.stack([spread(R(3, 3)) + R(3, 3) / 9, ROTATING]),),
            (spread(C(3, 3)) + C(3, 3) / 5,),
            (R(1, 1),),
            (R(0, 0),),
        ],
        covers=(np.linalg.eig,),
    ),
    Op(
        "eigvals",
        np.linalg.eigvals,
        [
            (spread(R(3, 3)) + R(3, 3) / 9,),
            (ROTATING,),
            (spread(C(3, 3)) + C(3, 3) / 5,),
        ],
        covers=(np.linalg.eigvals,),
    ),
    Op(
        "svd",
        lambda a: np.linalg.svd(a, full_matrices=False),
        SVD,
        covers=(np.linalg.svd,),
    ),
    Op("svd_square", np.linalg.svd, [(apart(R(3, 3)),), (apart(C(3, 3)),)]),
    Op(
        "svd_projectors_of_full",
        lambda a: _projectors(np.linalg.svd(a)),
        [(apart(R(4, 2)),), (apart(R(2, 4)),), (apart(C(4, 2)),), (apart(C(2, 4)),)],
    ),
    Op("svd_values", lambda a: np.linalg.svd(a, compute_uv=False), SVD),
    Op("svdvals", np.linalg.svdvals, SVD[:4], covers=(np.linalg.svdvals,)),
    Op("svd_hermitian", lambda a: np.linalg.svd(a, hermitian=True), HERMITIAN[:3]),
    Op(
        "svd_hermitian_values",
        lambda a: np.linalg.svd(a, compute_uv=False, hermitian=True),
        HERMITIAN[:3],
    ),
    Op(
        "pinv",
        np.linalg.pinv,
        [*GENERAL[:7], (well(R(3, 3, dtype=F32)),), (R(0, 3),), (R(2, 0),)],
        covers=(np.linalg.pinv,),
    ),
    Op("pinv_rtol", lambda a: np.linalg.pinv(a, rtol=None), GENERAL[:2]),
    Op(
        "pinv_hermitian",
        lambda a: np.linalg.pinv(a, hermitian=True),
        [(positive(R(3, 3)) + numpy.triu(R(3, 3), 1),), (positive(C(2, 3, 3)),)],
    ),
    Op(
        "lstsq",
        lambda a, b: np.linalg.lstsq(a, b)[:2],
        [
            (apart(R(4, 2)), R(4)),
            (apart(R(4, 2)), R(4, 3)),
            (apart(R(2, 4)), R(2)),
            (well(R(3, 3)), R(3, 2)),
            (apart(C(4, 2)), C(4)),
            (apart(R(4, 2)), C(4, 1)),
            (apart(R(4, 2, dtype=F32)), R(4, dtype=F32)),
        ],
        covers=(np.linalg.lstsq,),
    ),
    Op("lstsq_rank", lambda a, b: np.linalg.lstsq(a, b)[2:], [(apart(R(4, 2)), R(4))]),
    Op(
        "matrix_rank",
        np.linalg.matrix_rank,
        [(R(3, 2),), (low_rank(3, 3, 2),), (R(2, 3, 2),), (C(2, 2),), (I(0, 3, 3, 3),)],
        covers=(np.linalg.matrix_rank,),
    ),
    *(
        Op(f"cond_{p}", lambda a, p=p: np.linalg.cond(a, p), SVD[:5:4], covers=(np.linalg.cond,))
        for p in (None, 2, -2)
    ),
    *(
        Op(f"cond_{p}", lambda a, p=p: np.linalg.cond(a, p), COND, covers=(np.linalg.cond,))
        for p in (1, -1, np.inf, -np.inf, "fro", "nuc")
    ),
]


def _projectors(parts):
    u, s, vh = parts
    k = s.shape[-1]
    left, right = u[..., :, k:], vh[..., k:, :]
    return left @ np.conj(left.swapaxes(-1, -2)), s, np.conj(right.swapaxes(-1, -2)) @ right


VECTORS = [(R(4),), (R(2, 3),), (C(4),), (R(3, dtype=F32),)]
for _ord in (None, 0, 1, 2, 3, 0.5, -1, 2.5, np.inf, -np.inf):
    ROWS.append(
        Op(
            f"norm_vector_{_ord}",
            lambda x, ord=_ord: np.linalg.norm(x, ord, axis=-1),
            VECTORS,
            covers=(np.linalg.norm,),
        )
    )
for _ord in (None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
    ROWS.append(
        Op(
            f"norm_matrix_{_ord}",
            lambda x, ord=_ord: np.linalg.norm(x, ord, axis=(-2, -1)),
            [SVD[0], SVD[1], SVD[3], SVD[5]],
            covers=(np.linalg.norm,),
        )
    )
ROWS += [
    Op("norm", np.linalg.norm, [(R(4),), (R(2, 3, 2),), (C(2, 2),), (I(1, 5, 3),)]),
    Op("norm_fro", lambda x: np.linalg.norm(x, "fro"), [(R(2, 3),)]),
    Op(
        "norm_axes",
        lambda x: np.linalg.norm(x, 1, axis=(2, 0), keepdims=True),
        [(R(2, 3, 4),)],
    ),
    Op("norm_keepdims", lambda x: np.linalg.norm(x, axis=0, keepdims=True), [(R(2, 3),)]),
    Op("norm_all_keepdims", lambda x: np.linalg.norm(x, keepdims=True), [(R(2, 3),)]),
    Op(
        "vector_norm",
        np.linalg.vector_norm,
        [(R(4),), (R(2, 3),), (R(2, 3, 2),)],
        covers=(np.linalg.vector_norm,),
    ),
    Op(
        "vector_norm_axes",
        lambda x: np.linalg.vector_norm(x, axis=(2, 0), keepdims=True, ord=3),
        [(R(2, 3, 4),), (C(2, 3, 4),)],
    ),
    Op(
        "matrix_norm",
        lambda x: np.linalg.matrix_norm(x, keepdims=True),
        [(R(2, 3),), (R(2, 3, 2),)],
        covers=(np.linalg.matrix_norm,),
    ),
]
