"""Every index form, for reading and writing, and the functions that take and put."""

import numpy
from op_row import B, C, I, Op, R

import xnp as np

F4 = "f4"


def _set(*places):
    """Assigns ``value`` at each of ``places`` in turn and multiplies, so that orders nest."""

    def fun(x, value):
        y = np.array(x)
        for place in places:
            y[place] = value
            y *= x
        return y

    return fun


# A plain ndarray cannot be indexed by what vmap traces: np.array(x)[i].
def _by_arrays(x, i, j):
    return x[i], x[i, j], x[..., j], x[i, :, None], x[:, j][i]


def _by_number(x, i):
    return x[i], x[:, i], x[i, i], x[i, ..., None]


def _take(x, i):
    return (
        np.take(x, i),
        np.take(x, i, axis=1),
        np.take(x, i + 2, axis=-1, mode="wrap"),
        np.take(x, i - 2, axis=0, mode="clip"),
        np.take(x, [True, False]),
    )


def _set_at(x, i, value):
    y = np.array(x)
    y[i] = value
    return y * x


def _add_at(x, i, value):
    y = np.array(x)
    y[i] += value
    return y * x


def _set_mask(x, mask, value):
    y = np.array(x)
    y[mask] = value
    return y * x


def _element_views(x, i):
    y, i = np.array(x), i[0]
    row = y[i]
    row *= 2.0
    row[0] = y[0, 1]
    y[i, 1] += y[1, i]
    return y * x


def _in_place(function):
    def fun(x, *args):
        y = np.array(x)
        function(y, *args)
        return y * y

    return fun


def _copy_where(y, value, mask):
    np.copyto(y, value)
    np.copyto(y, value * value, where=mask)


def _put(y, value):
    np.put(y, [0, -1, 0], value)
    np.put(y, [5, 7], value, mode="wrap")
    np.put(y, [-3, 99], value, mode="clip")


def _put_along(y, indices, value):
    np.put_along_axis(y, indices, value, axis=1)


def _fill_diagonals(x, value):
    y, z = np.array(x), np.array(x[:, :2])
    np.fill_diagonal(y, value)
    np.fill_diagonal(z, value, wrap=True)
    return y * x, z * z


def _windows(x, i, j):
    return (
        x[i : i + 2],
        x[:, j - 1 : j + 2 : 2, None],
        x[2 * i : 2 * i + 2, ..., j],
        x[i + 2 : i : -1, j : j + 1],
        x[i : i + 2, [0, 1]],
        x[i:i],
        x[i + 1 : i + 3][j - 1 : j, 0],
    )


def _set_windows(x, i, value):
    y = np.array(x)
    y[i : i + 2] = value
    y[i - 1 : i + 2, i : i + 2] += y[i : i + 3, :2] * value
    y[i + 2 : i : -1, 0] *= 2.0
    row = y[i : i + 2]
    row[:, 1] = y[0, 0] * value
    y[i + 1 : i + 3, [2, 0]] = value
    np.add.at(y, (slice(i, i + 2), [1, 1]), value)
    return y * x, row * x[:2]


ROWS: list[Op] = [
    Op(
        "getitem_windows",
        lambda x, i, j: _windows(np.array(x), i, j),
        [(R(5, 4), I(0, 2), I(1, 3)), (C(6, 3), I(1, 2), I(1, 2)), (R(6, 4, 2), I(0, 3), I(1, 3))],
    ),
    Op(
        "setitem_windows",
        _set_windows,
        [(R(5, 4), I(1, 3), R()), (C(5, 3), I(1, 2), C()), (R(6, 3, dtype=F4), I(1, 2), R())],
    ),
    Op(
        "getitem_forms",
        lambda x: (
            x[..., 1],
            x[None, 0, :, None],
            x[::-1, :, 1::2],
            x[[1, 0], ..., -1],
            x[:, [0, 1, 1]],
            x[0, :, [0, 1]],
            x[[0, 1], None, :, [1, 0]],
            x[:, [0, 1], ..., [0, 1]],
            x[()],
            x[5:, 0],
            x[1, 2, 3],
            x[1, 2, 3, ...],
        ),
        [(R(2, 3, 4),), (C(2, 3, 4),), (R(2, 3, 4, dtype=F4),), (I(0, 9, 2, 3, 4),)],
    ),
    Op(
        "getitem_masks",
        lambda x: (
            x[[True, False]],
            x[:, numpy.array([True, False, True])],
            x[numpy.eye(2, 3, dtype=bool)],
            x[..., numpy.zeros(4, bool)],
            x[True],
            x[numpy.False_, 0],
            x[numpy.array([False, True]), [0, 1, 1]],
            x[x > 99.0],
        ),
        [(R(2, 3, 4),), (R(2, 3, 4, dtype=F4),)],
    ),
    Op(
        "getitem_by_arrays",
        lambda x, i, j: _by_arrays(np.array(x), i, j),
        [(R(3, 3), I(-3, 3, 2), I(0, 3, 2, 1)), (C(2, 4), I(0, 2), I(0, 2, 3))],
    ),
    Op(
        "getitem_by_number",
        lambda x, i: _by_number(np.array(x), i),
        [(R(3, 3), I(0, 3))],
    ),
    Op(
        "getitem_ix",
        lambda x, i: (np.array(x)[np.ix_(i, [0, 2])], np.array(x)[np.ix_([True, False, True], i)]),
        [(R(3, 3), I(0, 3, 2)), (C(3, 4), I(0, 3, 1))],
        covers=(numpy.ix_,),
    ),
    Op(
        "setitem_basic",
        _set(slice(1, None), (0, slice(None, None, -1)), (..., 1), (None, 1), (1, 2)),
        [(R(3, 3), R()), (C(3, 3), R()), (R(3, 3, dtype=F4), 1.5), (R(3, 4), I(0, 9))],
    ),
    Op(
        "setitem_broadcast",
        _set(slice(0, 2), [0, 2], (..., slice(0, 2), slice(None))),
        [
            (R(3, 2), R(2)),
            (R(3, 2), R(1, 2, 1)),
            (R(3, 2), R(2, 2)),
            (R(3, 0), R(0)),
            (C(3, 1), C(1)),
        ],
    ),
    Op(
        "setitem_forms",
        _set(
            ([1, 0], 0), (slice(None), [0, 2]), (0, slice(None), [0, 1]), ([0, 1], None, 1, [0, 0])
        ),
        [(R(2, 3, 4), R()), (C(2, 3, 4), C()), (R(2, 3, 4, dtype=F4), R(1))],
    ),
    Op("setitem_repeated_rows", _set([0, 1, 0], [1, 1, 1]), [(R(3), R(3)), (R(2, 2), R(3, 2))]),
    Op(
        "setitem_masks",
        _set([True, False, True], (slice(None), numpy.array([False, True])), True),
        [(R(3, 2), R()), (C(3, 2), R())],
    ),
    Op(
        "setitem_by_arrays",
        _set_at,
        [(R(3), I(0, 3, 2), R(2)), (R(3, 2), I(-3, 3, 4), R(2)), (C(3), I(0, 3), C())],
    ),
    Op(
        "setitem_by_mask",
        _set_mask,
        [(R(4), B(4), R()), (R(2, 3), B(2, 3), 2.0), (C(3, 2), B(3), C())],
    ),
    Op(
        "iadd_by_arrays",
        _add_at,
        [(R(3), I(0, 3, 4), R(4)), (R(3, 2), I(0, 3, 2), R(2)), (R(3), I(0, 3), R())],
    ),
    Op("getitem_views", _element_views, [(R(3, 3), I(0, 3, 1)), (C(3, 3), I(0, 3, 1))]),
    Op(
        "take",
        lambda x, i: _take(np.array(x), i),
        [(R(3, 3), I(-3, 3, 2, 2)), (C(3, 4), I(0, 3)), (R(3, 3, dtype=F4), I(0, 1, 0))],
        covers=(numpy.take,),
    ),
    Op(
        "take_along_axis",
        lambda x, i: (
            np.take_along_axis(x, i, 1),
            np.take_along_axis(x, i.T, axis=0),
            np.take_along_axis(x, i.ravel(), None),
        ),
        [(R(3, 3), I(-3, 3, 3, 3)), (C(2, 3), I(0, 2, 1, 3)), (R(2, 2, dtype=F4), I(0, 2, 2, 1))],
        covers=(numpy.take_along_axis,),
    ),
    Op("put", _in_place(_put), [(R(6), R(2)), (R(2, 3), R(3)), (C(4), R())], covers=(numpy.put,)),
    Op(
        "put_along_axis",
        _in_place(_put_along),
        [
            (R(3, 3), I(0, 3, 3, 1), R()),
            (R(2, 3), I(0, 3, 2, 2), R(2, 1)),
            (C(2, 2), I(0, 2, 1, 2), C(2)),
        ],
        covers=(numpy.put_along_axis,),
    ),
    Op(
        "place",
        _in_place(np.place),
        [(R(2, 3), numpy.eye(2, 3, dtype=bool), R(1)), (C(4), numpy.arange(4) % 2, R())],
        covers=(numpy.place,),
    ),
    Op(
        "place_several",
        _in_place(lambda y, v: np.place(y, numpy.arange(6).reshape(2, 3) % 2 == 0, v)),
        [(R(2, 3), R(2)), (R(2, 3), R(5))],
        covers=(numpy.place,),
    ),
    Op(
        "putmask",
        _in_place(np.putmask),
        [(R(2, 3), B(2, 3), R(2)), (R(5), B(5), R()), (C(4), B(4), R(9))],
        covers=(numpy.putmask,),
    ),
    Op(
        "copyto",
        _in_place(_copy_where),
        [(R(2, 3), R(3), B(2, 1)), (C(3), R(), B(3)), (R(2, dtype=F4), R(2), True)],
        covers=(numpy.copyto,),
    ),
    Op(
        "fill_diagonal",
        _fill_diagonals,
        [(R(3, 3), R()), (R(5, 3), R(2)), (C(3, 4), C(3))],
        covers=(numpy.fill_diagonal,),
    ),
    Op(
        "fill_diagonal_cube",
        _in_place(np.fill_diagonal),
        [(R(3, 3, 3), R())],
        covers=(numpy.fill_diagonal,),
    ),
    Op(
        "index_arithmetic",
        lambda i: (
            *np.unravel_index(i, (3, 4)),
            *np.unravel_index(i, (3, 4), order="F"),
            np.ravel_multi_index((i % 3, i % 4), (3, 4)),
            np.ravel_multi_index((i, i), (3, 4), mode=("clip", "wrap"), order="F"),
        ),
        [(I(0, 12, 5),), (I(0, 12),), (I(0, 12, 2, 2),)],
        covers=(numpy.unravel_index, numpy.ravel_multi_index),
    ),
    Op(
        "indices_from",
        lambda x: (*np.tril_indices_from(x, 1), *np.triu_indices_from(x), *np.diag_indices_from(x)),
        [(R(3, 3),), (C(2, 2),)],
        covers=(numpy.tril_indices_from, numpy.triu_indices_from, numpy.diag_indices_from),
    ),
    Op(
        "shape_functions",
        lambda x: (np.ndim(x), np.size(x), np.size(x, 0), *np.shape(x)),
        [(R(3, 4),), (C(2),), (R(0, 2),)],
        covers=(numpy.ndim, numpy.size, numpy.shape),
    ),
]
