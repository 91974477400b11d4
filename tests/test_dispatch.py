"""Which arguments NumPy's functions ask for `__array_function__`; those that it does not ask, and
that may hold traced numbers, are ours or explained. And the functions that are ours for that.
"""

import inspect
import warnings

import numpy
import pytest
from test_namespace import dispatching

import xnp as np
from xnp.numpy_api import ledger
from xnp.numpy_api.namespace import OURS

A = numpy.array

# Arguments that hold no numbers, or numbers that decide shapes, dtypes or what is computed.
NO_ARRAYS = {
    *(
        "axis",
        "axes",
        "axis1",
        "axis2",
        "axisa",
        "axisb",
        "axisc",
        "source",
        "destination",
        "start",
    ),
    *("keepdims", "dtype", "casting", "order", "subok", "copy", "device", "kind", "mode", "method"),
    *(
        "shape",
        "new_shape",
        "window_shape",
        "num",
        "n",
        "N",
        "M",
        "s",
        "k",
        "m",
        "deg",
        "minlength",
    ),
    *("repeats", "pad_width", "indices_or_sections", "offset", "kth", "ind", "dims", "count"),
    *("equal_nan", "assume_unique", "invert", "return_index", "return_inverse", "return_counts"),
    *("return_indices", "sorted", "stable", "side", "right", "density", "rowvar", "bias", "ddof"),
    *("overwrite_input", "returned", "endpoint", "retstep", "indexing", "sparse", "wrap", "trim"),
    *("full", "cov", "increasing", "optimize", "einsum_call", "norm", "ord", "p", "UPLO", "upper"),
    *("hermitian", "full_matrices", "compute_uv", "decimals", "deg", "edge_order", "bitorder"),
    *("include_initial", "func", "max_work", "writeable", "to", "prefix", "precision", "formatter"),
    *("max_line_width", "suppress_small", "separator", "threshold", "edgeitems", "sign", "suffix"),
    *("floatmode", "legacy", "allow_pickle", "file", "fname", "fmt", "delimiter", "newline"),
    *("header", "footer", "comments", "encoding", "unit", "timezone", "roll", "busdaycal"),
}


class Asked(Exception):
    pass


class Probe:
    """An argument that tells which function asks it."""

    def __array_function__(self, function, types, args, kwargs):
        raise Asked(function)


def asks(function, name):
    """Whether the function asks its argument ``name``, or what is in it if that is a list."""
    return any(asks_first(function, name, probe) for probe in (Probe(), [Probe()]))


def asks_first(function, name, probe):
    positional, by_name = [], {}
    for p in inspect.signature(function).parameters.values():
        argument = probe if p.name == name else numpy.ones(3)
        is_given = p.name == name or p.default is p.empty
        if is_given and (p.kind is p.POSITIONAL_ONLY or (p.kind == 1 and p.default is p.empty)):
            positional.append(argument)
        elif is_given and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
            by_name[p.name] = argument
    try:
        function(*positional, **by_name)
    except Exception as error:  # noqa: BLE001 - NumPy's opinion of these arguments does not matter
        return isinstance(error, Asked) and error.args[0] is function
    return False


@pytest.fixture(scope="module")
def unasked():
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for function, name in dispatching().items():
            if isinstance(function, numpy.ufunc) or function in ledger.UNSUPPORTED:
                continue
            if not function.__module__.startswith("numpy") or "strings" in function.__module__:
                continue
            parameters = inspect.signature(function).parameters.values()
            names = {p.name for p in parameters if p.kind not in (2, 4)} - NO_ARRAYS
            missed = {n for n in names if not asks(function, n)}
            if missed:
                found[name] = missed
    return found


# What is left to NumPy, and what a traced number there leads to.
CLEAR = "the error says to use xnp.array, and these names are to be NumPy's own"
WORKS = "NumPy hands it on to a function that asks"
BRANCHES = "NumPy branches on it: a branch or an error that says so"
LEFT = {
    **dict.fromkeys(
        [("sum", "where"), ("prod", "where"), ("max", "where"), ("min", "where")], WORKS
    ),
    **dict.fromkeys([("min", "where"), ("amax", "where"), ("amin", "where")], WORKS),
    **dict.fromkeys([("trapezoid", "dx")], WORKS),
    **dict.fromkeys([("nanargmax", "out"), ("nanargmin", "out")], WORKS),
    **dict.fromkeys([("sum", "initial"), ("prod", "initial"), ("max", "initial")], CLEAR),
    **dict.fromkeys([("min", "initial"), ("amax", "initial"), ("amin", "initial")], CLEAR),
    **dict.fromkeys(
        [("var", "correction"), ("std", "correction"), ("fill_diagonal", "val")], CLEAR
    ),
    **dict.fromkeys([(f"histogram{kind}", "range") for kind in ("", "2d", "dd")], BRANCHES),
    **dict.fromkeys([("histogram_bin_edges", "range"), ("real_if_close", "tol")], BRANCHES),
    **dict.fromkeys([("polyfit", "rcond"), ("linalg.lstsq", "rcond")], BRANCHES),
    **dict.fromkeys([("linalg.pinv", "rcond"), ("linalg.pinv", "rtol")], BRANCHES),
    **dict.fromkeys([("linalg.matrix_rank", "tol"), ("linalg.matrix_rank", "rtol")], BRANCHES),
}


def test_arguments_that_are_not_asked_belong_to_functions_of_ours_or_are_explained(unasked):
    left = {(name, n) for name, names in unasked.items() if name not in OURS for n in names}
    assert left - LEFT.keys() == set()


def test_no_explained_argument_is_asked(unasked):
    names = {name for _, name in dispatching().items()}
    known = {(name, n) for name, n in LEFT if name in names and parameter_exists(name, n)}
    assert known - {(name, n) for name, found in unasked.items() for n in found} == set()


def parameter_exists(name, parameter):
    function = {name: function for function, name in dispatching().items()}[name]
    return parameter in inspect.signature(function).parameters


# The functions that are ours: with a plain ndarray first, and what is traced in another argument.

T = numpy.array([3.0, numpy.nan, 1.0, 4.0])
F = numpy.array([3.0, 2.0, 1.0, 4.0])
TABLE = numpy.arange(12.0).reshape(4, 3)
OF_NUMBER = {
    "select": lambda x: np.select([F > 2], [F], default=x),
    "select by keyword": lambda x: np.select(condlist=[F > 2], choicelist=[F], default=x),
    "piecewise": lambda x: np.piecewise(F, [F > 2], [x, lambda v: v * x]),
    "apply_along_axis": lambda x: np.apply_along_axis(lambda v: v * x, 0, TABLE),
    "pad": lambda x: np.pad(F, 1, constant_values=x),
    "pad pairs": lambda x: np.pad(TABLE, 1, constant_values=((x, 0.0), (1.0, x))),
    "interp left": lambda x: np.interp(A([-1.0, 9.0]), F.cumsum(), F, left=x, right=x * x),
    "interp period": lambda x: np.interp(A([0.5, 9.0]), F.cumsum(), F, period=x + 11),
    "nan_to_num": lambda x: np.nan_to_num(T, nan=x),
    "unwrap": lambda x: np.unwrap(F, period=x),
    "nansum": lambda x: np.nansum(T, initial=x),
    "nanprod": lambda x: np.nanprod(T, initial=x),
    "nanmax": lambda x: np.nanmax(T, where=x < F, initial=x),
    "nanmin": lambda x: np.nanmin(T, where=x < F, initial=x),
    "nanmean": lambda x: np.nanmean(T, where=x < F),
    "nanvar": lambda x: np.nanvar(T, where=x < F),
    "nanstd": lambda x: np.nanstd(T, mean=x * numpy.ones(1)),
}
OF_INTEGERS = {
    "take": lambda k: np.take(F, k),
    "take by keyword": lambda k: np.take(a=TABLE, indices=k, axis=1, mode="wrap"),
    "take of a list": lambda k: np.take(TABLE, [k, 0], axis=0),
    "take of a list of numbers": lambda k: np.take([1.0, 2.0, 3.0], k),
    "roll": lambda k: np.roll(TABLE, k, axis=1),
    "tril": lambda k: np.tril(TABLE, k - 1),
    "triu": lambda k: np.triu(TABLE, k=k),
}


@pytest.mark.parametrize("name", OF_NUMBER)
def test_functions_ask_all_arguments_for_numbers(name):
    f, x = OF_NUMBER[name], 2.5
    wanted = f(x)
    for found in (np.jit(f)(x), np.jvp(f, (x,), (1.0,))[0], np.vmap(f)(A([x]))[0]):
        numpy.testing.assert_allclose(found, wanted, rtol=1e-15)
    step = 1e-6
    difference = (f(x + step) - f(x - step)) / (2 * step)
    numpy.testing.assert_allclose(np.jvp(f, (x,), (1.0,))[1], difference, rtol=1e-8, atol=1e-8)
    numpy.testing.assert_allclose(np.jacrev(f)(x), difference, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", OF_INTEGERS)
def test_functions_ask_all_arguments_for_integers(name):
    f = OF_INTEGERS[name]
    numbers = A([2, 0, 1])
    wanted = numpy.stack([f(k) for k in numbers])
    numpy.testing.assert_array_equal(numpy.stack([np.jit(f)(k) for k in numbers]), wanted)
    numpy.testing.assert_array_equal(np.vmap(f)(numbers), wanted)
    numpy.testing.assert_array_equal(np.jit(np.vmap(f))(numbers), wanted)


def test_an_embedding_table_of_constants():
    look_up = np.jit(lambda k: np.take(TABLE, k, axis=0))
    k = A([[1, 3], [0, 0]])
    numpy.testing.assert_array_equal(look_up(k), TABLE[k])
    loss = np.grad(lambda w, k: np.sum(np.take(TABLE, k, axis=0) @ w))
    numpy.testing.assert_allclose(loss(numpy.ones(3), k), TABLE[k].sum((0, 1)), rtol=1e-15)


def test_outside_of_transformations_they_are_numpys():
    with pytest.raises(IndexError, match=r"index 9 is out of bounds for axis 0 with size 4$"):
        np.take(F, 9)
    assert type(np.take(F, [1])) is numpy.ndarray
    assert np.take.__doc__ is numpy.take.__doc__
    np.grad(lambda x: x * (type(np.take(F, [1])) is numpy.ndarray))(1.0)  # nothing traced


INDEXED = {
    "item": lambda k: F[k],
    "items": lambda k: F[k, ...],
    "method": F.take,
    "NumPy's own function": lambda k: numpy.take(F, k),
    "list": lambda k: [1.0, 2.0, 3.0][k[0]],
}


@pytest.mark.parametrize("name", INDEXED)
@pytest.mark.parametrize("transform", [np.jit, np.vmap])
def test_an_ndarray_indexed_by_traced_integers_says_what_to_write(name, transform):
    match = r"write xnp\.array\(a\)\[i\] or xnp\.take\(a, i\) in place of a\[i\]"
    run = np.jit(INDEXED[name]).trace if transform is np.jit else np.vmap(INDEXED[name])
    with pytest.raises((np.ConcretizationError, np.BatchingError), match=match):
        run(A([[1], [2]]))
