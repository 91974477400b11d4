"""Methods and attributes of ndarray on traced arrays: results, dtypes and errors are NumPy's."""

import copy

import numpy
import pytest

import xnp as np

X = numpy.array([[3.0, -1.5, 2.25], [0.5, 4.0, -2.0]])
ARRAYS = {
    "float": X,
    "float32, Fortran": numpy.asfortranarray(X.astype(numpy.float32)),
    "complex": X + 1j * X[::-1],
    "strided": numpy.arange(24.0).reshape(4, 6)[::2, ::-2],
    "square": X[:, :2] * 1.0,
    "vector": X[0] * 1.0,
    "empty": numpy.zeros((0, 3)),
    "0-d": numpy.array(2.5),
    "int": numpy.array([[3, 1, 2]]),
    "bool": numpy.array([True, False]),
}

CALLS = {
    # attributes
    "shape": lambda a: a.shape,
    "dtype": lambda a: a.dtype,
    "ndim": lambda a: a.ndim,
    "size": lambda a: a.size,
    "itemsize": lambda a: a.itemsize,
    "nbytes": lambda a: a.nbytes,
    "T": lambda a: a.T,
    "mT": lambda a: a.mT,
    "real": lambda a: a.real,
    "imag": lambda a: a.imag,
    "device": lambda a: a.device,
    "len": len,
    "iteration": list,
    "flags": lambda a: [
        a.flags[name] for name in ("C", "F", "W", "A", "X", "B", "CA", "FA", "FNC")
    ],
    "flags' attributes": lambda a: (a.flags.c_contiguous, a.flags.fnc, a.flags.behaved),
    # shapes
    "reshape": lambda a: a.reshape(-1),
    "reshape, a tuple": lambda a: a.reshape((3, -1)),
    "reshape, integers": lambda a: a.reshape(3, 2, order="F"),
    "reshape, no copy": lambda a: a.reshape(-1, copy=False),
    "reshape, too large": lambda a: a.reshape(5, 5),
    "reshape, two unknown": lambda a: a.reshape(-1, -1),
    "reshape, bad order": lambda a: a.reshape(-1, order="Q"),
    "ravel": lambda a: a.ravel(),
    "ravel, K": lambda a: a.ravel("K"),
    "flatten": lambda a: a.flatten("F"),
    "transpose": lambda a: a.transpose(),
    "transpose, axes": lambda a: a.transpose(1, 0),
    "transpose, a tuple": lambda a: a.transpose((-1, 0)),
    "transpose, None": lambda a: a.transpose(None),
    "transpose, repeated": lambda a: a.transpose(0, 0),
    "swapaxes": lambda a: a.swapaxes(0, -1),
    "squeeze": lambda a: a[None].squeeze(0),
    "squeeze, not of length 1": lambda a: a.squeeze(0),
    "diagonal": lambda a: a.diagonal(1),
    "view": lambda a: a.view(),
    "view, same dtype": lambda a: a.view(a.dtype),
    # numbers
    "all": lambda a: a.all(axis=0),
    "any": lambda a: a.any(),
    "argmax": lambda a: a.argmax(-1),
    "argmin": lambda a: a.argmin(),
    "argpartition": lambda a: a.argpartition(0),
    "argsort": lambda a: a.argsort(axis=0),
    "clip": lambda a: a.clip(-1, 2),
    "conj": lambda a: a.conj(),
    "conjugate": lambda a: a.conjugate(),
    "cumprod": lambda a: a.cumprod(0),
    "cumsum": lambda a: a.cumsum(),
    "dot": lambda a: a.dot(a.T),
    "max": lambda a: a.max(axis=-1, keepdims=True),
    "mean": lambda a: a.mean(0),
    "min": lambda a: a.min(),
    "nonzero": lambda a: a.nonzero(),
    "prod": lambda a: a.prod(1),
    "repeat": lambda a: a.repeat(2, axis=0),
    "round": lambda a: a.round(1),
    "searchsorted": lambda a: a.searchsorted([0.0, 1.0]),
    "std": lambda a: a.std(ddof=1),
    "sum": lambda a: a.sum(axis=(0, 1)),
    "sum, a bad axis": lambda a: a.sum(axis=7),
    "take": lambda a: a.take([0, -1]),
    "trace": lambda a: a.trace(),
    "var": lambda a: a.var(axis=0),
    "choose": lambda a: a.real.astype(int).clip(0, 1).choose([a, 10]),
    "compress": lambda a: a.compress([True], axis=0),
    # copies
    "astype": lambda a: a.astype(numpy.complex64),
    "astype, same": lambda a: a.astype(a.dtype, copy=False),
    "astype, unsafe": lambda a: a.astype(int, casting="safe"),
    "astype, order": lambda a: a.astype(complex, order="F"),
    "copy": lambda a: a.copy(),
    "copy, F": lambda a: a.copy("F"),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "item": lambda a: a[(0,) * a.ndim].item(),
    "item, flat": lambda a: a.item(1),
    "item, many": lambda a: a.item(),
    "item, a place": lambda a: a.item((0, 1)),
    "item, places": lambda a: a.item(0, 1),
    "tolist": lambda a: a.tolist(),
    "to_device": lambda a: a.to_device("cpu"),
    "to_device, another": lambda a: a.to_device("tpu"),
    # flat
    "flat, element": lambda a: a.flat[1],
    "flat, slice": lambda a: a.flat[::2],
    "flat, list": lambda a: a.flat[[0, 1]],
    "flat, mask": lambda a: a.flat[numpy.arange(a.size) > 0],
    "flat, iteration": lambda a: list(a.flat),
    "flat, length": lambda a: len(a.flat),
    "flat, comparison": lambda a: a.flat == 2.0,
    "flat, coordinates": lambda a: (a.flat.coords, a.flat.index, a.flat.base.shape),
    "flat, copy": lambda a: a.flat.copy(),
}


def fill(a):
    a.fill(3)


def sort(a):
    a.sort()


def sort_first(a):
    a.sort(axis=0, kind="stable")


def partition(a):
    a.partition(1)


def put(a):
    a.put([0, -1], [7, 8])


def assign_flat(a):
    a.flat = [1, 2]


def assign_flat_slice(a):
    a.flat[1:] = [5, 6]


def assign_flat_mask(a):
    a.flat[numpy.arange(a.size) % 2 == 1] = 9


def assign_real(a):
    a.real = 1.5


def assign_imag(a):
    a.imag = 2.5


def assign_shape(a):
    a.shape = (-1, 1)


def assign_wrong_shape(a):
    a.shape = (5,)


def assign_to_imag_of_real(a):
    a.imag[0] = 1


def assign_to_diagonal(a):
    a.diagonal()[0] = 1


def assign_to_read_only(a):
    a = a.view()
    a.flags.writeable = False
    a[0] = 1


def setflags_of_view(a):
    b = a[:1]
    b.setflags(write=False)
    a[:] = 5
    b[...] = 6


def delete_item(a):
    del a[0]


CHANGES = [
    *(fill, sort, sort_first, partition, put, assign_flat, assign_flat_slice, assign_flat_mask),
    *(assign_real, assign_imag, assign_shape, assign_wrong_shape, assign_to_imag_of_real),
    *(assign_to_diagonal, assign_to_read_only, setflags_of_view, delete_item),
]


def outcome(call, a):
    """What a call gives: its result, or the class of its error."""
    try:
        return call(a)
    except (ValueError, TypeError, IndexError, AttributeError) as error:
        return next(
            c for c in (IndexError, ValueError, TypeError, AttributeError) if isinstance(error, c)
        )


def assert_alike(found, wanted):
    if isinstance(wanted, list | tuple):
        assert type(found) is type(wanted)
        assert len(found) == len(wanted)
        for x, y in zip(found, wanted, strict=True):
            assert_alike(x, y)
    elif isinstance(wanted, numpy.ndarray | numpy.generic):
        assert isinstance(found, np.ndarray) == isinstance(wanted, numpy.ndarray)
        known = np.stop_gradient(found)
        numpy.testing.assert_allclose(known, wanted, rtol=1e-6)
        assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
        assert_same_layout(found, wanted)
    elif isinstance(wanted, float | complex):
        assert complex(np.stop_gradient(found)) == wanted
    else:
        assert found == wanted


def assert_same_layout(found, wanted):
    if isinstance(wanted, numpy.ndarray):
        for flag in ("c_contiguous", "f_contiguous", "writeable"):
            assert getattr(found.flags, flag) == getattr(wanted.flags, flag), flag


def on_handle(check, x):
    """Runs ``check`` on a traced array with the values and layout of x."""

    def f(t):
        check(np.array(x) if t is None else t)
        return np.sum(np.asarray(1.0)) + 0.0 * np.sum(t.astype(complex)).real

    if x.dtype.kind in "fc":
        np.grad(f)(x.copy("K"))
    else:
        np.grad(lambda t: (check(np.array(x)), t)[1])(1.0)


@pytest.mark.filterwarnings("ignore:.*invalid value|.*Degrees of freedom|.*empty slice|.*divide")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS.keys())
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_call_gives_what_numpy_gives(call, array):
    wanted = outcome(call, array.copy("K"))
    on_handle(lambda a: assert_alike(outcome(call, a), wanted), array)


@pytest.mark.filterwarnings("ignore:Casting complex", "ignore:Setting the shape:DeprecationWarning")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS.keys())
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_does_what_numpy_does(change, array):
    wanted = array.copy("K")
    wanted_outcome = outcome(change, wanted)

    def check(a):
        assert outcome(change, a) == wanted_outcome
        assert_alike(a, wanted)

    on_handle(check, array)


def test_writing_through_flat_real_and_item_is_differentiable():
    def f(x):
        y = np.zeros((2, 2), complex)
        y.flat = x
        y.real[0] *= 2
        y.imag = x[0]
        y.flat[3] = 5 * x[1]
        return (np.sum(y.real) + 3 * np.sum(y.imag)).item()

    numpy.testing.assert_array_equal(np.grad(f)(numpy.array([1.0, 2.0])), [2 + 1 + 9, 2 + 5])


def test_item_is_a_python_number_that_stays_traced():
    def f(x):
        n = x.item()
        assert (x.astype(numpy.float32) * n).dtype == numpy.float32
        with pytest.raises(ZeroDivisionError):
            n / 0
        assert x.astype(int).item() == 2
        return n * n

    assert np.grad(f)(numpy.array(2.0)) == 4.0
    numpy.testing.assert_array_equal(np.vmap(lambda x: x.item() * 2)(numpy.arange(3.0)), [0, 2, 4])


def test_fill_takes_one_number():
    with pytest.raises(ValueError, match=r"fill takes one number, got i64\[2\]; write a\[...\]"):
        np.grad(lambda x: x.fill([1, 2]))(numpy.ones(2))


def test_base_is_the_array_that_is_shown():
    def f(x):
        assert x.base is None
        assert x[1:].T.base is x
        assert x.copy().base is None
        assert np.shares_memory(x[:2], x[1:])
        assert not np.shares_memory(x[:1], x[1:])
        assert not np.may_share_memory(x, x + 1)
        return np.sum(x)

    np.grad(f)(numpy.ones(3))


def test_a_changed_shape_leaves_views_made_before_as_they_are():
    def f(x):
        x = np.array(x)
        row, all_of_it = x[0], x.reshape(-1)
        x.shape = (3, 2)
        row[2] = 10 * x[2, 1]
        x[2, 0] = 0
        assert (row.shape, all_of_it.shape) == ((3,), (6,))
        assert x[1, 0] == row[2] == all_of_it[2]
        return np.sum(x) + np.sum(all_of_it) + np.sum(row)

    found = np.grad(f)(numpy.arange(6.0).reshape(2, 3))
    numpy.testing.assert_array_equal(found, [[3, 3, 0], [2, 0, 32]])


def test_complex_to_real_warns_as_numpy_does():
    with pytest.warns(numpy.exceptions.ComplexWarning, match="discards the imaginary part"):
        np.grad(lambda x: np.sum((x * 1j).astype(float)))(numpy.ones(2))


NEEDS_MEMORY = {
    "strides": lambda a: a.strides,
    "data": lambda a: a.data,
    "ctypes": lambda a: a.ctypes,
    "resize": lambda a: a.resize(3),
    "byteswap": lambda a: a.byteswap(),
    "getfield": lambda a: a.getfield(float),
    "setfield": lambda a: a.setfield(1.0, float),
    "tobytes": lambda a: a.tobytes(),
    "tofile": lambda a: a.tofile("f"),
    "dump": lambda a: a.dump("f"),
    "dumps": lambda a: a.dumps(),
    "view(dtype)": lambda a: a.view(int),
    "dtype = ...": lambda a: setattr(a, "dtype", int),
    "__dlpack__": lambda a: a.__dlpack__(),
}


@pytest.mark.parametrize(("name", "call"), NEEDS_MEMORY.items(), ids=NEEDS_MEMORY.keys())
def test_what_needs_memory_says_what_to_write(name, call):
    with pytest.raises(np.UnsupportedError) as caught:
        np.grad(lambda x: call(x) or np.sum(x))(numpy.ones(2))
    text = str(caught.value)
    assert f"ndarray.{name} does not work on traced arrays (at test_methods.py:" in text
    assert text.count(";") == 1  # the reason; the alternative


def test_the_array_api_namespace_is_xnp():
    def f(x):
        assert x.__array_namespace__() is np
        assert x.__array_namespace__(api_version="2023.12").sum is numpy.sum
        with pytest.raises(ValueError, match="API"):
            x.__array_namespace__(api_version="1999.01")
        return x

    np.grad(f)(1.0)
