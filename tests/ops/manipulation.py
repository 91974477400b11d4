"""Shapes, the order of elements, joining, splitting and padding."""

import numpy
from numpy.lib.stride_tricks import sliding_window_view
from op_row import B, C, D, I, Op, R

import xnp as np

F4 = "f4"
MATRICES = [
    (R(3, 4),),
    (C(2, 3),),
    (R(3, 4, dtype=F4),),
    (I(0, 9, 3, 2),),
    (R(0, 3),),
    (R(4, 3).T,),
]
VECTORS = [(R(5),), (C(4),), (R(3, dtype=F4),), (R(1),), (R(0),), (R(8)[::-2],)]
STACKED = [(R(2, 3, 4),), (C(2, 2, 3),), (R(2, 3, 2, dtype=F4),), (R(2, 0, 3),)]


def _squared(*arrays):
    """Products, so that second derivatives are not zero."""
    return tuple(a * a for a in arrays)


def _unary(name, fun, samples, *covers, **more):
    return Op(name, fun, samples, covers=covers, **more)


def _pad(mode, **keywords):
    def fun(x):
        return np.pad(x, ((2, 1),) * (x.ndim - 1) + ((0, 3),), mode, **keywords)

    return Op(
        f"pad_{mode}{'_' if keywords else ''}{'_'.join(map(str, keywords.values()))}",
        fun,
        [(D(4),), (D(3, 2),), (D(3, 2, dtype=F4),), (I(0, 99, 3, 4),)]
        + ([(C(3, 2),)] if mode not in ("maximum", "minimum", "median") else []),
        covers=(numpy.pad,),
    )


def _pad_by_function(x):
    def function(vector, widths, axis, keywords):
        vector[: widths[0]] = vector[widths[0]] * keywords["scale"]
        vector[vector.shape[0] - widths[1] :] = 2.0

    return np.pad(x, 1, function, scale=3.0)


ROWS: list[Op] = [
    _unary(
        "reshape",
        lambda x: _squared(np.reshape(x, (-1, 2)), np.reshape(x, (4, 3), order="F")),
        [(R(3, 4),), (C(2, 6),), (R(12, dtype=F4),), (R(4, 3).T,), (I(0, 9, 12),)],
        numpy.reshape,
    ),
    _unary(
        "ravel",
        lambda x: (np.ravel(x), np.ravel(x, "F")),
        [*MATRICES, (R(),), (R(2, 3, 4).transpose(1, 2, 0),)],
        numpy.ravel,
    ),
    _unary(
        "ravel_in_memory_order",
        lambda x: (np.ravel(x, "A"), np.ravel(x, "K")),
        [(R(3, 4),), (C(2, 3),), (R(),), (I(0, 9, 2, 3),)],  # in C order, which differences keep
        numpy.ravel,
    ),
    _unary(
        "transpose",
        lambda x: (np.transpose(x), np.transpose(x, (1, 2, 0)), np.permute_dims(x, (-1, 0, 1))),
        STACKED,
        numpy.transpose,
        numpy.permute_dims,
    ),
    _unary(
        "swapped_axes",
        lambda x: (
            np.swapaxes(x, 0, -1),
            np.moveaxis(x, (0, 1), (-1, 0)),
            np.rollaxis(x, 2, 1),
            np.rollaxis(x, -1),
            np.matrix_transpose(x),
        ),
        STACKED,
        numpy.swapaxes,
        numpy.moveaxis,
        numpy.rollaxis,
        numpy.matrix_transpose,
    ),
    _unary(
        "squeeze",
        lambda x: (np.squeeze(x), np.squeeze(x, 1), np.squeeze(x, axis=(1, -1))),
        [(R(2, 1, 3, 1),), (C(2, 1, 1),), (R(1, 1, 1),), (R(0, 1, 1, dtype=F4),)],
        numpy.squeeze,
    ),
    _unary(
        "expand_dims",
        lambda x: (np.expand_dims(x, 0), np.expand_dims(x, (-1, 0))),
        [(R(3),), (C(2, 3),), (R(),), (R(0, dtype=F4),)],
        numpy.expand_dims,
    ),
    _unary(
        "atleast",
        lambda x, y: (np.atleast_1d(x), *np.atleast_2d(x, y), *np.atleast_3d(x, y)),
        [(R(), R(3)), (C(2), R(2, 3)), (R(dtype=F4), R(2, 3, 4)), (R(0), 1.5)],
        numpy.atleast_1d,
        numpy.atleast_2d,
        numpy.atleast_3d,
    ),
    _unary(
        "broadcast",
        lambda x, y: (np.broadcast_to(x, (2, 3, 4)), *np.broadcast_arrays(x, y)),
        [(R(3, 1), R(4)), (C(4), R(2, 1, 1)), (R(), R(0)), (R(1, dtype=F4), I(0, 9, 2))],
        numpy.broadcast_to,
        numpy.broadcast_arrays,
    ),
    _unary(
        "flip",
        lambda x: (np.flip(x), np.flip(x, 0), np.flip(x, (0, -1)), np.fliplr(x), np.flipud(x)),
        MATRICES,
        numpy.flip,
        numpy.fliplr,
        numpy.flipud,
    ),
    _unary(
        "rot90",
        lambda x: (np.rot90(x), np.rot90(x, 2), np.rot90(x, -1, (1, 0)), np.rot90(x, 3)),
        MATRICES,
        numpy.rot90,
    ),
    _unary(
        "roll",
        lambda x: (np.roll(x, 2), np.roll(x, -1, 0), np.roll(x, (1, 2), (0, 1)), np.roll(x, 5, -1)),
        MATRICES,
        numpy.roll,
    ),
    Op(
        "roll_by_each",
        lambda x, shift: np.roll(np.array(x), shift),
        [(R(5), I(-7, 7)), (R(5, dtype=F4), numpy.array(0))],
    ),
    _unary(
        "tile",
        lambda x: (np.tile(x, 2), np.tile(x, (2, 1, 3)), np.tile(x, 1), np.tile(x, (0, 2))),
        [(R(3),), (C(2, 2),), (R(),), (R(2, dtype=F4),), (R(0),), (I(0, 9, 2),)],
        numpy.tile,
    ),
    _unary(
        "repeat",
        lambda x: (np.repeat(x, 2), np.repeat(x, [1, 0, 2], axis=0), np.repeat(x, 3, -1)),
        [(R(3),), (C(3, 2),), (R(3, 2, dtype=F4),), (R(3, 0),), (I(0, 9, 3),)],
        numpy.repeat,
    ),
    _unary(
        "resize",
        lambda x: (np.resize(x, (3, 4)), np.resize(x, 2), np.resize(x, (0, 2))),
        [(R(5),), (C(2, 2),), (R(0),), (R(),), (R(7, dtype=F4),)],
        numpy.resize,
    ),
    Op(
        "trim_zeros",
        lambda x: (np.trim_zeros(x), np.trim_zeros(x, "f"), np.trim_zeros(x, "B")),
        [(numpy.array([0.0, 1.5, 0.0, 2.0, 0.0]),), (numpy.zeros(3),), (R(3, dtype=F4),)],
        diff=(),
        vmap=False,
        reason="the result's size depends on which values are zero",
        covers=(numpy.trim_zeros,),
    ),
    _unary(
        "diag_of_vector",
        lambda x: (np.diag(x), np.diag(x, 2), np.diag(x, -1), np.diagflat(x, 1)),
        VECTORS,
        numpy.diag,
        numpy.diagflat,
    ),
    _unary(
        "diag_of_matrix",
        lambda x: (np.diag(x), np.diag(x, -1), np.diagonal(x, 1), np.diagonal(x, 9)),
        MATRICES,
        numpy.diag,
        numpy.diagonal,
    ),
    _unary(
        "diagonal",
        lambda x: (np.diagonal(x, 0, 1, 2), np.diagonal(x, 1, -1, 0)),
        STACKED,
        numpy.diagonal,
    ),
    _unary(
        "triangle",
        lambda x: (np.tril(x), np.triu(x), np.tril(x, -1), np.triu(x, 2), np.tril(x, 1)),
        [*MATRICES, (R(3),), *STACKED],
        numpy.tril,
        numpy.triu,
    ),
    _unary(
        "vander",
        lambda x: (
            np.vander(x),
            np.vander(x, 2),
            np.vander(x, 4, increasing=True),
            np.vander(x, 0),
        ),
        [(R(3),), (C(2),), (R(3, dtype=F4),), (I(0, 5, 3),), (R(0),), (numpy.array([0.0, 2.0]),)],
        numpy.vander,
    ),
    _unary(
        "meshgrid",
        lambda x, y: (
            *np.meshgrid(x, y),
            *np.meshgrid(x, y, x, indexing="ij"),
            *np.meshgrid(x, y, sparse=True, copy=False),
        ),
        [(R(3), R(2)), (C(2), R(1)), (R(), R(2)), (R(2, dtype=F4), R(0))],
        numpy.meshgrid,
    ),
    _unary(
        "sliding_window_view",
        lambda x: (
            sliding_window_view(x, 2, axis=0),
            sliding_window_view(x, (2, 2), axis=(1, 1)),
            sliding_window_view(x, (1, 3)),
        ),
        [(R(3, 4),), (C(2, 3),), (R(2, 3, dtype=F4),), (I(0, 9, 4, 3),)],
        sliding_window_view,
    ),
    _unary(
        "concatenate",
        lambda x, y: (
            np.concatenate((x, y)),
            np.concatenate([x, y, x], axis=-1) if x.shape == y.shape else 0,
            np.concatenate([x, y], axis=None),
            np.concat((y, x), axis=0, dtype=complex),
        ),
        [
            (R(2, 3), R(1, 3)),
            (C(2), R(3)),
            (R(2, dtype=F4), R(2)),
            (R(0), R(2)),
            (I(0, 9, 2), R(2)),
        ],
        numpy.concatenate,
        numpy.concat,
    ),
    _unary(
        "stack",
        lambda x, y: (
            np.stack((x, y)),
            np.stack([x, y], axis=-1),
            np.hstack([x, y]),
            np.vstack([x, y]),
            np.dstack([x, y]),
        ),
        [(R(3), R(3)), (R(2, 3), R(2, 3)), (R(), C()), (R(2, dtype=F4), I(0, 9, 2)), (R(0), R(0))],
        numpy.stack,
        numpy.hstack,
        numpy.vstack,
        numpy.dstack,
    ),
    _unary(
        "column_stack",
        lambda x, y: (np.column_stack([x, y]), np.append(x, y), np.append(x, x, axis=0)),
        [(R(3), R(3, 2)), (R(2), C(2)), (R(2, dtype=F4), R(2))],
        numpy.column_stack,
        numpy.append,
    ),
    _unary(
        "block",
        lambda x, y: (np.block([[x, x], [x, y * x]]), np.block([y, 2.0]), np.block(y)),
        [(R(2, 2), R()), (C(1, 2), R()), (R(2, dtype=F4), R(dtype=F4))],
        numpy.block,
    ),
    Op(
        "join_python_numbers",
        lambda x, y: (np.stack([x, y, 3]), np.hstack([x, y, [2.0]]), np.append(x, y)),
        [(1.5, 2.5), (R(), R())],
    ),
    _unary(
        "insert",
        lambda x, v: (
            np.insert(x, 1, v, axis=0),
            np.insert(x, [0, 2], v, axis=0),
            np.insert(x, slice(0, 2), v, axis=0),
            np.insert(x, 1, v[..., 0]),
            np.insert(x, -1, 5.0, axis=-1),
        ),
        [(R(3, 2), R(2)), (R(3), R(2)), (C(2), R(1)), (R(3, dtype=F4), R(1))],
        numpy.insert,
    ),
    Op(
        "insert_column",
        lambda x, v: (np.insert(x, 1, v, axis=1), np.insert(x, [1], v[:, None], axis=1)),
        [(R(3, 2), R(3)), (C(2, 2), R(2))],
        covers=(numpy.insert,),
    ),
    _unary(
        "delete",
        lambda x: (
            np.delete(x, 1),
            np.delete(x, [0, -1], axis=0),
            np.delete(x, slice(None, None, 2), 0),
        ),
        [(R(3),), (C(3, 2),), (R(4, dtype=F4),)],
        numpy.delete,
    ),
    _unary(
        "split",
        lambda x: (
            *np.split(x, 2),
            *np.split(x, [1, 3], axis=0),
            *np.array_split(x, 3),
            *np.vsplit(x, 2),
            *np.hsplit(x, [1]),
        ),
        [(R(4, 3),), (C(2, 2),), (R(4, 2, dtype=F4),), (R(0, 2),)],
        numpy.split,
        numpy.array_split,
        numpy.hsplit,
        numpy.vsplit,
    ),
    _unary("dsplit", lambda x: tuple(np.dsplit(x, [1, 2])), STACKED, numpy.dsplit),
    Op(
        "packbits",
        lambda x: (np.packbits(x), np.packbits(x, -1), np.packbits(x, axis=0, bitorder="little")),
        [(B(11),), (B(3, 9),), (I(0, 2, 2, 8, dtype="u1"),), (I(-1, 2, 4),), (B(2, 0),)],
        covers=(numpy.packbits,),
    ),
    Op(
        "unpackbits",
        lambda x: (
            np.unpackbits(x),
            np.unpackbits(x, axis=-1, count=11),
            np.unpackbits(x, axis=0, count=-3, bitorder="little"),
        ),
        [(I(0, 256, 3, dtype="u1"),), (I(0, 256, 2, 3, dtype="u1"),)],
        covers=(numpy.unpackbits,),
    ),
    Op(
        "triangles_from_a_number",
        lambda x, k: (np.tril(x, k), np.triu(x, k) * x, np.tril(x * x, k - 2)),
        [(R(3, 4), I(0, 2)), (C(4, 3), I(-2, 0)), (R(3), I(0, 1)), (R(2, 3, 3), I(-1, 0))],
        covers=(numpy.tril, numpy.triu),
    ),
    _pad("constant"),
    _pad("constant", constant_values=2.5),
    _pad("edge"),
    _unary(
        "pad_empty",
        lambda x: np.pad(x, 1, "empty")[..., 1:-1][1:-1],
        [(R(3),), (R(2, 3),)],
        numpy.pad,
    ),
    _pad("linear_ramp"),
    _pad("linear_ramp", end_values=(1, -2)),
    _pad("maximum"),
    _pad("minimum", stat_length=2),
    _pad("mean"),
    _pad("mean", stat_length=(1, 2)),
    _pad("median"),
    _pad("reflect"),
    _pad("reflect", reflect_type="odd"),
    _pad("symmetric"),
    _pad("symmetric", reflect_type="odd"),
    _pad("wrap"),
    Op(
        "pad_by_constants",
        lambda x: np.pad(x, [(1, 2)], constant_values=(3, 4)),
        [(R(2, 2),), (C(3),)],
        covers=(numpy.pad,),
    ),
    Op("pad_by_function", _pad_by_function, [(R(3),), (R(2, 2),), (C(2),)], covers=(numpy.pad,)),
]

if hasattr(numpy, "unstack"):  # NumPy 2.1
    ROWS.append(
        _unary(
            "unstack", lambda x: (*np.unstack(x), *np.unstack(x, axis=-1)), STACKED, numpy.unstack
        )
    )
