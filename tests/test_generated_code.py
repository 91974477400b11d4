"""What the code generator makes of Programs: loop nests, reductions, memory, checks, threads."""

import math
import mmap
import subprocess
import sys

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import xnp as np
from xnp.codegen.mlir import module
from xnp.codegen.plan import Cluster
from xnp.runtime import recipe
from xnp.runtime.compile import Compiled, vector_bytes

rng = numpy.random.default_rng(7)

DTYPES = [numpy.float64, numpy.float32, numpy.float16, numpy.int64, numpy.int8, numpy.uint16, bool]


def same(found, wanted, ulps=0):
    """Equal in kind, dtype, shape and numbers; floats to within ``ulps``."""
    assert type(found) is type(wanted)
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    if wanted.dtype.kind in "fc" and ulps:
        scale = numpy.max(numpy.abs(wanted[numpy.isfinite(wanted)]), initial=0)
        eps = ulps * numpy.finfo(wanted.dtype).eps
        numpy.testing.assert_allclose(found, wanted, rtol=eps, atol=eps * float(scale))
    else:
        numpy.testing.assert_array_equal(found, wanted)


def clusters(f, *args):
    """The loop nests that a function is compiled to."""
    return [k for k in np.jit(f).inspect(*args).clusters if k.kind in ("loop nest", "reduction")]


shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=19)


@st.composite
def broadcastable(draw):
    """Two arrays of shapes that broadcast, of any layout."""
    pair = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=19))
    arrays = []
    for shape in pair.input_shapes:
        x = numpy.asarray(rng.integers(-9, 9, shape))
        order = draw(st.sampled_from("CF"))
        x = numpy.asarray(x.astype(draw(st.sampled_from(DTYPES))), order=order)
        arrays.append(x[..., ::-1] if x.ndim and draw(st.booleans()) else x)
    return arrays


@settings(max_examples=40, deadline=None)
@given(broadcastable())
def test_elementwise_of_any_shapes_dtypes_and_layouts(arrays):
    def f(a, b):
        return np.where(a > b, a + b, a * 2), (a != b) & (b == b)

    with numpy.errstate(all="ignore"):
        for found, wanted in zip(np.jit(f)(*arrays), f(*arrays), strict=True):
            same(numpy.asarray(found), numpy.asarray(wanted))


@st.composite
def reducible(draw):
    """An array, and some of its axes."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, max_side=23))
    axes = draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))
    dtype = draw(st.sampled_from([*DTYPES, numpy.complex64, numpy.complex128]))
    x = rng.normal(size=shape) * 4
    x = x + 1j * rng.normal(size=shape) if numpy.dtype(dtype).kind == "c" else x
    x = x.astype(dtype)
    permuted = draw(st.permutations(range(len(shape))))
    return numpy.ascontiguousarray(x.transpose(permuted)).transpose(numpy.argsort(permuted)), axes


@settings(max_examples=60, deadline=None)
@given(reducible(), st.sampled_from(["sum", "max", "min", "any", "all", "prod"]))
def test_reductions_over_any_axes(case, name):
    x, axes = case
    if name == "prod":
        x = x / 4 if x.dtype.kind in "fc" else x
        x = x.astype(case[0].dtype)
    f = getattr(numpy, name)
    with numpy.errstate(all="ignore"):
        found, wanted = (
            g(x) for g in (np.jit(lambda a: f(a, tuple(axes))), lambda a: f(a, tuple(axes)))
        )
    exact = name in ("max", "min", "any", "all")
    same(numpy.asarray(found), numpy.asarray(wanted), 0 if exact else x.size)


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([numpy.float64, numpy.float32, numpy.int8, bool]),
        hnp.array_shapes(min_dims=1, max_dims=3, max_side=40),
        fill=st.nothing(),
    ),
    st.data(),
)
def test_arg_reductions_take_the_first_of_equals_and_nans(x, data):
    axis = data.draw(st.integers(0, x.ndim - 1))
    for f in (numpy.argmax, numpy.argmin):
        same(numpy.asarray(np.jit(lambda a, f=f: f(a, axis))(x)), numpy.asarray(f(x, axis)))


@pytest.mark.parametrize("n", [0, 1, 3, 31, 1000, 4097, 300_001])
@pytest.mark.parametrize("dtype", [numpy.float32, numpy.float64])
def test_a_sum_is_at_least_as_accurate_as_numpys(n, dtype):
    x = (rng.normal(size=n) * 10.0 ** rng.integers(-4, 5, n)).astype(dtype)
    exact = math.fsum(map(float, x))
    mine, numpys = float(np.jit(np.sum)(x)), float(numpy.sum(x))
    ulp = float(numpy.spacing(dtype(abs(exact)))) if n else 0.0
    assert abs(mine - exact) <= abs(numpys - exact) + 2 * ulp


def test_a_sum_of_infinities_and_nans():
    for special in ([math.inf], [math.inf, -math.inf], [math.nan], [1e308, 1e308]):
        x = numpy.concatenate([numpy.ones(5000), special])
        with numpy.errstate(all="ignore"):
            numpy.testing.assert_equal(np.jit(np.sum)(x), numpy.sum(x))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("f", [numpy.cumsum, numpy.cumprod])
def test_cumulative_operations_along_any_axis(f, axis):
    x = rng.normal(size=(5, 17, 9))
    same(np.jit(lambda a: f(a, axis) + 1)(x), f(x, axis) + 1)


# Fusion.


def softmax(x, axis=-1):
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def layer_norm(x, axis=-1):
    mean, variance = np.mean(x, axis=axis, keepdims=True), np.var(x, axis=axis, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5)


@pytest.mark.parametrize("f", [softmax, layer_norm, lambda x: np.sin(x) * x + np.exp(-x)])
@pytest.mark.parametrize("shape", [(37, 53), (2, 3, 64), (5, 1), (1, 5)])
def test_rows_are_done_in_one_nest(f, shape):
    x = rng.normal(size=shape)
    same(np.jit(f)(x), f(x), 8)
    if min(shape) > 1:
        assert len(clusters(f, x)) == 1


@pytest.mark.parametrize("f", [softmax, layer_norm])
@pytest.mark.parametrize("shape", [(53, 37), (40, 300), (2, 200), (1, 9), (5, 64, 3), (1000, 40)])
@pytest.mark.parametrize("dtype", [numpy.float64, numpy.float32])
def test_columns_are_done_in_one_nest(f, shape, dtype):
    def along_columns(x):
        return f(x, axis=0)

    x = rng.normal(size=shape).astype(dtype)
    same(np.jit(along_columns)(x), along_columns(x), 8)
    if min(shape) > 1:
        assert len(clusters(along_columns, x)) == 1
    any_size = np.jit(along_columns)
    for columns in (shape[-1] + 3, shape[-1] + 1, 2, shape[-1]):
        x = rng.normal(size=(*shape[:-1], columns)).astype(dtype)
        same(any_size(x), along_columns(x), 8)


def test_siblings_that_read_the_same_arrays_share_a_nest():
    x = rng.normal(size=(40, 30))
    f = lambda x: (np.sum(x * x), np.max(x), np.sum(np.abs(x)))
    assert len(clusters(f, x)) == 1
    for found, wanted in zip(np.jit(f)(x), f(x), strict=True):
        same(found, wanted, 8)


@pytest.mark.parametrize("dtype", [numpy.float64, numpy.float32, numpy.complex128, numpy.int16])
def test_reductions_of_everything(dtype):
    x = (rng.normal(size=400_001) * 9).astype(dtype)

    def f(x):
        y = x * 2
        return np.sum(y), np.sum(y * y) / 3 + 1, np.any(y != 0), y

    for found, wanted in zip(np.jit(f)(x), f(x), strict=True):
        same(numpy.asarray(found), numpy.asarray(wanted), 3000)


def test_shape_operations_move_nothing():
    x = rng.normal(size=(6, 8))

    def f(x):
        return x.T[1:, ::-1].reshape(7, 2, 3).transpose(1, 0, 2)[:, ::2] * 2.0

    assert len(clusters(f, x)) <= 2  # one reshape has to move elements
    same(np.jit(f)(x), f(x))
    assert len(clusters(lambda x: x.T[1:, ::-1] * 2.0, x)) == 1


def test_a_value_is_read_back_from_a_view_of_what_the_same_nest_writes():
    u, v = rng.normal(size=(2, 3))

    def f(u, v):
        c = np.cumsum(u * v)
        return c[::-1] * u, np.flip(c) + v, c

    for found, wanted in zip(np.jit(f)(u, v), f(u, v), strict=True):
        same(found, wanted, 4)


# Indices.


def test_gather_and_scatter():
    x = rng.normal(size=(7, 9))
    i, j = numpy.array([3, -1, 2, 3]), numpy.array([0, 8, -9, 0])

    def write(x, i, v):
        a = np.array(x)
        a[i] = v
        return a

    def add(x, i, v):
        a = np.array(x)
        np.add.at(a, i, v)
        return a

    same(np.jit(lambda x, i: x[i] * 2)(x, i), x[i] * 2)
    same(np.jit(lambda x, i, j: x[i, j])(x, i, j), x[i, j])
    same(np.jit(lambda x, i, j: x[i[:, None], j])(x, i, j), x[i[:, None], j])
    v = rng.normal(size=(4, 9))
    same(np.jit(write)(x, i, v), write(x, i, v))  # of two writes to a row the last one counts
    same(np.jit(add)(x, i, v), add(x, i, v), 4)


@settings(max_examples=30, deadline=None)
@given(st.integers(-12, 12), st.integers(0, 40))
def test_an_index_out_of_bounds_is_numpys_error(bad, where):
    x, i = rng.normal(size=(7, 3)), rng.integers(-7, 7, 41)
    i[where] = bad
    f = np.jit(lambda x, i: x[i].sum())
    try:
        wanted = x[i].sum()
    except IndexError as error:
        with pytest.raises(IndexError, match=str(error).split(" for")[0]):
            f(x, i)
    else:
        same(f(x, i), wanted, 50)


# Memory.


@pytest.mark.parametrize("seed", range(4))
def test_the_error_names_the_first_index_that_is_out_of_bounds(seed):
    x, rng = numpy.arange(4.0), numpy.random.default_rng(seed)
    jitted = np.jit(lambda x, i: x[i])
    for size in (1, 8, 17, 100):
        index = rng.integers(-6, 6, size)
        index[-1] = 7
        with pytest.raises(IndexError) as wanted:
            x[index]
        with pytest.raises(IndexError) as found:
            jitted(x, index)
        assert str(found.value) == str(wanted.value)
    loop = np.jit(lambda x: np.fori_loop(0, 8, lambda i, total: total + x[i], 0.0))
    with pytest.raises(IndexError, match="index 4 is out of bounds for axis 0 with size 4"):
        loop(x)


def test_updates_in_a_loop_are_done_in_place():
    def f(x):
        def body(i, a):
            a[i] = a[i - 1] * 0.5 + i
            return a

        return np.fori_loop(1, 5000, body, x)

    x = rng.normal(size=5000)
    wanted = x.copy()
    for i in range(1, 5000):
        wanted[i] = wanted[i - 1] * 0.5 + i
    same(np.jit(f)(x), wanted)
    text = np.jit(f).inspect(x).mlir
    inside = text[text.index("scf.for") : text.rindex('}\n"llvm.intr.memcpy"')]
    assert "memcpy" not in inside


def test_an_array_that_is_still_read_is_not_overwritten():
    def f(x):
        a = x * 2
        b = np.array(a)
        b[1:] = a[:-1]
        return a, b

    x = rng.normal(size=300)
    for found, wanted in zip(np.jit(f)(x), f(x), strict=True):
        same(found, wanted)


def test_large_temporaries_take_each_others_place():
    def f(x):
        for _ in range(6):
            x = np.linalg.matrix_power(np.tanh(x @ x), 1) + 1.0
        return x

    x = rng.normal(size=(128, 128)) / 16
    same(np.jit(f)(x), f(x), 5000)
    text = np.jit(f).inspect(x).mlir
    (line,) = [line for line in text.splitlines() if "@aligned_alloc(" in line and "call" in line]
    size = line.split("%")[-1].split(")")[0]
    (total,) = [part for part in text.splitlines() if part.startswith(f"%{size} = arith.constant")]
    assert int(total.split()[3]) <= 3 * x.nbytes


PEAK = """
import re, numpy, xnp as np
def status(name):
    return int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
def f(a, b):
    c = np.sin(a * b) + a
    for _ in range(10):
        c = np.exp(-c * c) * b + np.sqrt(np.abs(c)) - a
    return c
f = np.jit(f)
a, b = numpy.ones(4_000_000), numpy.ones(4_000_000)
f(a, b)  # compiles
open("/proc/self/clear_refs", "w").write("5")  # the peak is counted from here
before = status("VmRSS")
c = f(a, b)
print(status("VmHWM") - before - c.nbytes)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_fused_chain_needs_no_memory_besides_its_result():
    extra = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    assert int(extra.stdout) <= 1 << 20


# Threads, errors, calls back.


def test_threads_do_not_change_a_bit():
    x = rng.normal(size=(700, 811))
    f = lambda x: (softmax(x), np.sum(x, axis=0), np.sin(x) * x, np.sum(np.sin(x)), np.max(x))
    with np.threads(1):
        wanted = np.jit(f)(x)
    with np.threads(4):
        for found, one in zip(np.jit(f)(x), wanted, strict=True):
            same(found, one)


def test_errors_come_through_native_code():
    with pytest.raises(np.linalg.LinAlgError):
        np.jit(np.linalg.inv)(numpy.zeros((3, 3)))
    with pytest.raises(ValueError, match="bins"):
        np.jit(lambda x: np.histogram(x, bins=-1))(numpy.ones(3))


def test_what_has_no_native_code_calls_numpy():
    x = rng.normal(size=(6, 50))
    f = lambda x: np.sort(np.abs(np.fft.fft(x)), axis=0)[::2] * 2
    same(np.jit(f)(x), f(x), 64)
    kinds = {k.kind for k in np.jit(f).inspect(x).clusters}
    assert "call to NumPy" in kinds


def test_a_step_is_a_cluster_or_an_operation_and_prints():
    assert "exp" in repr(_one_cluster())


def _one_cluster():
    cluster = Cluster(0, (3,))
    program = np.jit(np.exp).trace(numpy.ones(3))
    cluster.equations.extend(program.equations)
    return cluster


# Sizes.


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 70), st.integers(1, 70)), min_size=3, max_size=6))
def test_any_sizes(sizes):
    f = np.jit(layer_norm)
    for shape in sizes:
        x = rng.normal(size=shape)
        with numpy.errstate(all="ignore"):
            same(f(x), layer_norm(x), 64 * max(shape))


# Numbers at the ends of what a dtype holds.


@pytest.mark.parametrize("dtype", [numpy.float64, numpy.float32, numpy.float16])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 9, 11, 3.0, -3])
def test_whole_powers_keep_the_sign_of_zeros(dtype, n):
    x = numpy.array([-0.0, 0.0, -math.inf, math.inf, -2.5, 1e-200, -1e-120, math.nan]).astype(dtype)
    with numpy.errstate(all="ignore"):
        wanted = x**n
    found = np.jit(lambda x: x**n)(x)
    same(found, wanted)
    numpy.testing.assert_array_equal(numpy.signbit(found), numpy.signbit(wanted))


@pytest.mark.parametrize("dtype", [numpy.float32, numpy.float16, numpy.complex64])
@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.where(x.real > 0, x, 1e300),
        lambda x: x * 1e300 + 1e6,
        lambda x: (x.real < 1e300, np.minimum(x.real, 1e39)),
        lambda x: np.clip(x.real, -1e300, 1e300),
        lambda x: np.fori_loop(0, 2, lambda i, c: c + 1e300, x),
    ],
    ids=["where", "multiply", "compare", "clip", "loop"],
)
def test_python_floats_beyond_a_dtype_are_infinite(f, dtype):
    x = numpy.array([1.0, -2.0]).astype(dtype)
    with numpy.errstate(all="ignore"):
        wanted, found = f(x), np.jit(f)(x)
    pairs = zip(found, wanted, strict=True) if isinstance(wanted, tuple) else [(found, wanted)]
    for a, b in pairs:
        same(a, b)


@pytest.mark.parametrize("char", "dfhBD?")
@pytest.mark.parametrize("step", [-5, -3, -2, -1, 2, 3, 4, 5])
def test_elements_that_lie_steps_apart(step, char):
    """Read out of whole vectors, none of which reaches beyond the first or last element."""
    for n in (1, 3, 8, 17, 64, 257):
        room = mmap.mmap(-1, mmap.PAGESIZE * (2 + n * 5 * 16 // mmap.PAGESIZE))
        base = numpy.frombuffer(room, char)[-(n - 1) * abs(step) - 1 :]  # up to the last byte
        base[:] = rng.integers(0, 2 if char == "?" else 99, base.shape).astype(char)
        x = base[::step]
        assert len(x) == n
        for f in (lambda x: x + x, np.sum, lambda x: np.where(x != 0, x, 1)):
            same(np.jit(f)(x), f(x), 8)


def test_reshapes_that_move_elements_are_written_where_they_belong():
    x = numpy.arange(600.0)
    for f in (
        lambda x: numpy.tile(x, 3),
        lambda x: numpy.repeat(x, 2),
        lambda x: (x.reshape(20, 30).T * 2).reshape(-1),
    ):
        numpy.testing.assert_array_equal(np.jit(f)(x), f(x))
        code = Compiled(np.jit(f).trace(x)).module()
        assert not any(buffer.kind == "temporary" for buffer in buffers(code.plan))


def buffers(plan):
    """The memory of the values that have places."""
    return {place.buffer for place in plan.places.values()}


def test_threads_share_a_loop_that_is_long_enough(monkeypatch):
    monkeypatch.setattr(recipe, "find", lambda key, literals: None)
    monkeypatch.setattr(recipe, "save", lambda *args: None)
    monkeypatch.setattr(module, "SHARED_WORK", 0)
    monkeypatch.setattr(module, "PIECE_WORK", 8)
    rng = numpy.random.default_rng(0)
    for shape in ((3, 200), (2, 3, 50), (1, 2, 3), (5, 40, 3), (3, 2)):
        x = rng.normal(size=shape)
        for f in (
            lambda x: numpy.stack([x, x + 1, x * 2]),
            lambda x: x[..., ::-1] * 2 + x[..., :1],
            lambda x: x - x.mean(axis=-1, keepdims=True),
        ):
            with np.threads(3):
                numpy.testing.assert_allclose(np.jit(f)(x), f(x), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(("depth", "vectors"), [(1, 2), (40, 4), (150, 2)])
def test_long_chains_do_several_vectors_a_step(depth, vectors):
    """As many as there is work for; sizes that they do not divide are NumPy's, too."""

    def chain(x, y):
        for i in range(depth):
            x = np.where(x > y, x * y, 0.25 * (i % 3) - x)
        return x

    for n in [1, 31, 64, 65, 127, 400]:
        x, y = rng.normal(size=(2, n))
        same(np.jit(chain)(x, y), chain(x, y))
    width = vector_bytes() // 8 * vectors
    assert f"vector<{width}xf64>" in np.jit(chain).inspect(*rng.normal(size=(2, 400))).mlir


def test_short_chains_side_by_side_do_one_vector_a_step():
    def many(x, y):
        parts = [x * c + y for c in range(1, 30)]
        return tuple(np.maximum(a, b) for a, b in zip(parts, parts[9:], strict=False))

    width = vector_bytes() // 8
    mlir = np.jit(many).inspect(*rng.normal(size=(2, 400))).mlir
    assert f"vector<{width}xf64>" in mlir
    assert f"vector<{2 * width}xf64>" not in mlir


NO_MEMORY = """
import resource, numpy, xnp as np
f = np.jit(lambda x: np.sort(np.outer(x, x), axis=None)[0])
g = np.jit(lambda x: np.sort(np.tile(x, 100_000_000)[::-1])[0])
h = np.jit(np.grad(lambda x, n: np.sum(np.fori_loop(0, n, lambda i, c: np.sin(c * x), x))))
f(numpy.ones(3)), f(numpy.ones(4)), h(numpy.ones(20), numpy.array(3))
resource.setrlimit(resource.RLIMIT_AS, (3 * 10**9, 3 * 10**9))
for call in (
    lambda: f(numpy.ones(100_000)),
    lambda: g(numpy.ones(100)),
    lambda: h(numpy.ones(10**6), numpy.array(10**9)),
):
    try:
        call()
    except MemoryError as error:
        print(error)
print(f(numpy.ones(5)))
"""


def test_memory_that_is_not_there():
    """For temporaries of symbolic and known sizes, and rows of the backward pass."""
    command = [sys.executable, "-c", NO_MEMORY]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["there was no memory for temporary arrays"] * 3 + ["1.0"]
