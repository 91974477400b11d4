"""Products that sum over axes: matmul, dot, einsum and their relatives."""

import numpy
from op_row import B, C, I, Op, R

import xnp as np

F32 = numpy.float32


def _pairs(*shapes, seed=0):
    """One sample of real arguments for each tuple of shapes."""
    return [tuple(R(*shape, seed=seed + i) for i, shape in enumerate(pair)) for pair in shapes]


MATMUL = [
    *_pairs(
        ((3, 4), (4, 2)),
        ((4,), (4,)),
        ((3, 4), (4,)),
        ((4,), (4, 2)),
        ((2, 3, 4), (4, 5)),
        ((3, 4), (2, 4, 5)),
        ((2, 3, 4), (2, 4, 5)),
        ((2, 1, 3, 4), (5, 4, 2)),
        ((4,), (2, 4, 3)),
        ((2, 3, 4), (4,)),
        ((3, 0), (0, 2)),
        ((0, 4), (4, 2)),
        ((1, 1), (1, 1)),
    ),
    (R(3, 4, dtype=F32), R(4, 2, seed=1, dtype=F32)),
    (R(3, 4, dtype=F32), R(4, 2, seed=1)),
    (C(3, 4), C(4, 2, seed=1)),
    (R(3, 4), C(4, 2)),
    (C(2, 3, 4), R(4)),
    (I(-3, 3, 2, 3), R(3, 2)),
    (I(-3, 3, 2, 3), I(-3, 3, 3, 2)),
    (B(2, 3), B(3, 2)),
    (R(4, 3).T, R(4, 2)),
]

DOT = [
    *MATMUL[:4],
    (R(2, 3, 4), R(5, 4, 2)),
    (R(2, 3, 4), R(4)),
    (R(4), R(2, 4, 3)),
    (R(3), R()),
    (R(), R()),
    (2.0, R(3)),
    (R(3, dtype=F32), 2.0),
    (C(3), R(3)),
    (I(0, 5, 3), I(0, 5, 3)),
]

VECTORS = [
    *_pairs(((4,), (4,)), ((2, 4), (4,)), ((3, 1, 4), (2, 4)), ((0,), (0,))),
    (C(4), C(4, seed=1)),
    (C(2, 4), R(4)),
    (R(4), C(4)),
    (R(4, dtype=F32), R(4, dtype=F32, seed=1)),
]

ROWS: list[Op] = [
    Op("matmul", np.matmul, MATMUL, covers=(np.matmul,)),
    Op("matmul_operator", lambda a, b: a @ b, MATMUL[:5] + MATMUL[15:16]),
    Op(
        "matmul_axes",
        lambda a, b: np.matmul(a, b, axes=[(0, 1), (1, 0), (2, 0)]),
        _pairs(((3, 4, 2), (5, 4, 2))),
    ),
    Op("linalg_matmul", np.linalg.matmul, MATMUL[:3], covers=(np.linalg.matmul,)),
    Op("dot", np.dot, DOT, covers=(np.dot,)),
    Op(
        "dot_method",
        lambda a, b: a.dot(b),
        DOT[:6],
        diff=(0,),
        vmap=(0,),
        reason="ndarray.dot(b) of a plain ndarray asks no protocol of b",
    ),
    Op("vecdot", np.vecdot, VECTORS, covers=(np.vecdot,)),
    Op(
        "vecdot_axis",
        lambda a, b: np.vecdot(a, b, axis=0),
        [(R(4, 2), R(4, 2, seed=1)), (C(4, 2), C(4, 3, 1))],
    ),
    Op(
        "linalg_vecdot",
        lambda a, b: np.linalg.vecdot(a, b, axis=-2),
        [(R(4, 2), R(4, 2, seed=1))],
        covers=(np.linalg.vecdot,),
    ),
    Op(
        "vdot",
        np.vdot,
        [
            *_pairs(((4,), (4,)), ((2, 3), (6,)), ((), ()), ((0,), (0,))),
            (C(3), C(3, seed=1)),
            (C(3), R(3)),
        ],
        covers=(np.vdot,),
    ),
    Op(
        "inner",
        np.inner,
        [
            *_pairs(((4,), (4,)), ((2, 3), (4, 3)), ((2, 3, 4), (4,)), ((), (3,))),
            (C(3), C(2, 3, seed=1)),
        ],
        covers=(np.inner,),
    ),
    Op(
        "outer",
        np.outer,
        [
            *_pairs(((3,), (4,)), ((2, 2), (3,)), ((), (2,)), ((0,), (3,))),
            (C(3), R(2)),
            (R(3, dtype=F32), R(2, dtype=F32)),
        ],
        covers=(np.outer,),
    ),
    Op(
        "linalg_outer",
        np.linalg.outer,
        _pairs(((3,), (4,))),
        covers=(np.linalg.outer,),
    ),
    Op(
        "tensordot",
        np.tensordot,
        _pairs(((2, 3, 4), (3, 4, 5)), ((3, 4), (3, 4))),
        covers=(np.tensordot,),
    ),
    Op(
        "tensordot_axes",
        lambda a, b: np.tensordot(a, b, axes=([0, 2], [1, 0])),
        [*_pairs(((3, 2, 4), (4, 3, 5)), ((0, 2, 4), (4, 0))), (C(3, 2, 4), R(4, 3))],
    ),
    Op("tensordot_0", lambda a, b: np.tensordot(a, b, 0), _pairs(((2, 3), (2,)), ((), (2,)))),
    Op(
        "tensordot_negative",
        lambda a, b: np.tensordot(a, b, (-1, 0)),
        _pairs(((2, 3), (3, 2)), ((3,), (3, 2))),
    ),
    Op(
        "linalg_tensordot",
        lambda a, b: np.linalg.tensordot(a, b, axes=1),
        _pairs(((2, 3), (3, 2))),
        covers=(np.linalg.tensordot,),
    ),
    Op(
        "kron",
        np.kron,
        [
            *_pairs(((2,), (3,)), ((2, 3), (3, 1)), ((2, 3), (2,)), ((2,), (2, 1, 2)), ((), (2,))),
            (C(2, 2), R(2, 2)),
        ],
        covers=(np.kron,),
    ),
    Op(
        "cross",
        np.cross,
        [
            *_pairs(((3,), (3,)), ((2, 3), (3,)), ((4, 1, 3), (2, 3)), ((0, 3), (3,))),
            (C(3), R(3)),
            (R(3, dtype=F32), R(3, dtype=F32, seed=1)),
        ],
        covers=(np.cross,),
    ),
    Op("cross_axis", lambda a, b: np.cross(a, b, axis=0), _pairs(((3, 2), (3, 2)))),
    Op(
        "cross_axes",
        lambda a, b: np.cross(a, b, axisa=0, axisb=1, axisc=0),
        _pairs(((3, 2), (2, 3))),
    ),
    Op(
        "linalg_cross",
        lambda a, b: np.linalg.cross(a, b, axis=0),
        _pairs(((3, 2), (3, 2))),
        covers=(np.linalg.cross,),
    ),
    Op(
        "trace",
        np.trace,
        [(R(3, 3),), (R(3, 4),), (R(3, 2, 4),), (C(3, 3),), (R(0, 0),), (I(0, 9, 3, 3),)],
        covers=(np.trace,),
    ),
    Op("trace_offset", lambda a: np.trace(a, 1, 2, 0), [(R(3, 2, 4),)]),
    Op(
        "linalg_trace",
        lambda a: np.linalg.trace(a, offset=-1),
        [(R(2, 3, 4),)],
        covers=(np.linalg.trace,),
    ),
    Op(
        "linalg_diagonal",
        lambda a: np.linalg.diagonal(a, offset=1),
        [(R(2, 3, 4),)],
        covers=(np.linalg.diagonal,),
    ),
    Op(
        "linalg_matrix_transpose",
        np.linalg.matrix_transpose,
        [(R(2, 3, 4),)],
        covers=(np.linalg.matrix_transpose,),
    ),
    Op(
        "multi_dot",
        lambda *arrays: np.linalg.multi_dot(arrays),
        _pairs(
            ((2, 3), (3, 4)),
            ((2, 3), (3, 4), (4, 1)),
            ((3,), (3, 4), (4, 2)),
            ((2, 3), (3, 4), (4,)),
            ((3,), (3, 4), (4,)),
            ((5, 2), (2, 6), (6, 1), (1, 3)),
        ),
        covers=(np.linalg.multi_dot,),
    ),
]

if hasattr(numpy, "matvec"):  # NumPy 2.2
    ROWS += [
        Op(
            "matvec",
            np.matvec,
            [*_pairs(((3, 4), (4,)), ((3, 4), (2, 4)), ((2, 3, 4), (5, 1, 4))), (C(3, 4), C(4))],
            covers=(numpy.matvec,),
        ),
        Op(
            "vecmat",
            np.vecmat,
            [*_pairs(((3,), (3, 4)), ((2, 3), (3, 4)), ((2, 3), (2, 3, 4))), (C(3), C(3, 4))],
            covers=(numpy.vecmat,),
        ),
    ]

SIGNALS = [
    *_pairs(((5,), (3,)), ((3,), (5,)), ((4,), (4,)), ((1,), (3,)), ((6,), (2,)), ((2,), (6,))),
    (R(5, dtype=F32), R(2, dtype=F32, seed=1)),
    (C(5), C(3, seed=1)),
    (C(2), R(4)),
    (R(5), C(3)),
    (I(0, 9, 5), I(0, 9, 3)),
]
for _mode in ("full", "same", "valid"):
    ROWS += [
        Op(
            f"convolve_{_mode}",
            lambda a, v, mode=_mode: np.convolve(a, v, mode),
            SIGNALS,
            covers=(np.convolve,),
        ),
        Op(
            f"correlate_{_mode}",
            lambda a, v, mode=_mode: np.correlate(a, v, mode),
            SIGNALS,
            covers=(np.correlate,),
        ),
    ]

EINSUM = {
    "ij,jk": ((2, 3), (3, 4)),
    "ij,jk->ki": ((2, 3), (3, 4)),
    "i,i": ((3,), (3,)),
    "i,i->i": ((3,), (3,)),
    "i,j": ((3,), (2,)),
    "ii": ((3, 3),),
    "ii->i": ((3, 3),),
    "iji->j": ((3, 2, 3),),
    "iij->ji": ((3, 3, 2),),
    "ij->ji": ((2, 3),),
    "ij->j": ((2, 3),),
    "ijk->": ((2, 3, 2),),
    "...ij,...jk": ((5, 2, 3), (3, 4)),
    "...ij,...jk->...ki": ((5, 1, 2, 3), (2, 3, 4)),
    "i...->...": ((3, 2),),
    "...": ((3, 2),),
    "b...,b...->...b": ((2, 3), (2, 3)),
    "bij,bjk->bik": ((2, 3, 4), (2, 4, 2)),
    "bij,bkj->bi": ((2, 3, 4), (2, 5, 4)),
    "ijk,ilm->jkl": ((2, 3, 4), (2, 5, 2)),
    "ii,i->i": ((3, 3), (3,)),
    "ij,j->": ((2, 3), (3,)),
    "ij,j": ((2, 1), (3,)),
    "ij,jk,kl": ((2, 3), (3, 4), (4, 2)),
    "i,ij,j->": ((2,), (2, 3), (3,)),
    "ab,bc,cd,da": ((2, 3), (3, 2), (2, 2), (2, 2)),
    "i,i,i->i": ((3,), (3,), (3,)),
    ",i->i": ((), (3,)),
    "": ((),),
    "ij,jk->ik": ((2, 0), (0, 3)),
    "ea,fb,abcd,gc,hd->efgh": ((2, 2), (2, 2), (2, 2, 2, 2), (2, 2), (2, 2)),
}
for _text, _shapes in EINSUM.items():
    ROWS.append(
        Op(
            f"einsum {_text}",
            lambda *operands, text=_text: np.einsum(text, *operands),
            _pairs(_shapes),
            covers=(np.einsum,),
        )
    )
ROWS += [
    Op(
        "einsum_dtypes",
        lambda a, b: np.einsum("ij,jk->ik", a, b),
        [
            (R(2, 3, dtype=F32), R(3, 2, dtype=F32)),
            (C(2, 3), R(3, 2)),
            (I(0, 100, 2, 3, dtype=numpy.int8), I(0, 100, 3, 2, dtype=numpy.int8)),
            (B(2, 3), B(3, 2)),
        ],
    ),
    Op(
        "einsum_sum_dtypes",
        lambda a: np.einsum("ij->i", a),
        [(I(0, 100, 2, 3, dtype=numpy.int8),), (B(2, 3),), (R(2, 3, dtype=numpy.float16),)],
        order=1,
        reason="half precision",
    ),
    Op(
        "einsum_sublists",
        lambda a, b: np.einsum(a, [0, 1], b, [1, ...], [..., 0]),
        _pairs(((2, 3), (3, 4))),
    ),
    Op("einsum_sublists_implicit", lambda a: np.einsum(a, [1, 0]), _pairs(((2, 3),))),
    Op(
        "einsum_optimal",
        lambda a, b, c: np.einsum("ij,jk,kl->il", a, b, c, optimize="optimal"),
        _pairs(((2, 3), (3, 4), (4, 2))),
    ),
    Op(
        "einsum_given_path",
        lambda a, b, c: np.einsum(
            "ij,jk,kl->il", a, b, c, optimize=["einsum_path", (1, 2), (0, 1)]
        ),
        _pairs(((2, 3), (3, 4), (4, 2))),
    ),
]
