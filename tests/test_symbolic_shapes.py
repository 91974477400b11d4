"""Programs recorded with symbolic sizes: right at the sizes they were recorded with, and at all
others that their guards allow.

The rows of the op table are recorded with every size of 2 or more a symbol. A ledger lists those
that fix a size; user programs, their gradients and batches must not.
"""

import math
import warnings
from functools import cache

import numpy
import pytest
from laws import Restricted, check_value
from op_table import CASES, OPS, Case, is_array
from random_programs import program_of
from symbolic import grown, record
from test_abstract_values import LEDGER as NOT_RECORDED
from test_fuzz_programs import check_same

import xnp as np
from xnp.autodiff.size_structures import substituted
from xnp.testing.vectors import leaves_of, map_leaves, precision_of

# Rows that fix a size, and why.
CONSTANT = "the row combines its argument with an array of a fixed size"
LOOP = "a Python loop runs over the size"
PLACES = "the places, an ndarray, are computed from the size"
SIZES = "the row asks for one size"

FIXED = {
    **dict.fromkeys(
        [
            *("all_options", "any_options", "arrays_of_constants", "broadcast", "cov_weights"),
            *("choose_from_array", "max_where"),
            *("mean_options", "min_where", "nan_options", "nanmax_options", "nanmin_options"),
            *("nanprod_options", "nansum_options", "prod_where", "put", "roll_by_each"),
            *("setitem_broadcast", "setitem_masks", "setitem_repeated", "setitem_repeated_rows"),
            *("setitem_slice", "std_options", "sum_where", "sum_where_row", "var_options"),
            *("lexsort_rows", "windows", "reshape", "repeat", "ndarray.item", "pinv_rtol"),
            *("histogram_edges", "histogram_on_edges"),
        ],
        CONSTANT,
    ),
    **dict.fromkeys(["cross", "cross_axes", "cross_axis", "linalg_cross"], SIZES),
    **dict.fromkeys(["delete", "indices_from", "insert", "insert_column", "pad_reflect"], PLACES),
    **dict.fromkeys(
        [
            *(
                "apply_along_axis",
                "histogramdd",
                "vectorize",
                "pad_by_function",
                "polyadd",
                "polyder",
                "polyder_m",
                "polyfit",
            ),
            *("polyfit_cov_unscaled", "polyfit_weights", "polyint", "polyint_k", "polysub"),
            *("polyval", "polyval_single", "unstack", "vander", "pad_reflect_odd"),
            *("series_coefficients", "series_polyder", "series_polyint", "series_polyval"),
        ],
        LOOP,
    ),
    **{
        f"series_{kind}{name}": LOOP
        for kind in ("cheb", "herm", "herme", "lag", "leg")
        for name in ("der", "grid2d", "int", "val", "val2d")
    },
    **dict.fromkeys(["series_polygrid2d", "series_polyval2d"], LOOP),
}

ROWS = {op.name: op for op in OPS if op.name not in NOT_RECORDED}
RECORDABLE = [case for case in CASES if case.op.name in ROWS]

# Rows whose samples cannot be made larger by elements between those they have: what is to be
# sorted, definite or well conditioned would not be; `empty_like` has no elements to compare.
NOT_GROWN = ("cholesky", "digitize", "empty_like", "interp", "inv", "nanarg", "pinv", "solve")


def restricted(case):
    return Restricted(case, [i for i, arg in enumerate(case.args) if is_array(arg)])


@cache
def recorded(name):
    """A row's samples, recorded."""
    found = []
    for i in range(len(ROWS[name].samples)):
        f = restricted(Case(ROWS[name], i))
        with numpy.errstate(all="ignore"):
            found.append(record(f.full, f.chosen))
    return found


def copies(args):
    return tuple(map_leaves(lambda x: x.copy() if is_array(x) else x, arg) for arg in args)


def larger(program, args, sizes):
    """The arguments of a recorded Program, grown to these sizes."""
    parameters = iter(program.parameters)

    def one(leaf):
        shape = substituted(next(parameters).aval.shape, sizes)
        return grown(leaf, shape) if shape else leaf

    return tuple(map_leaves(one, arg) for arg in args)


@pytest.mark.parametrize("case", RECORDABLE, ids=str)
def test_rows(case):
    """NumPy's values at the sizes recorded with, and at larger ones if the guards allow them."""
    found, f = recorded(case.op.name)[case.index], restricted(case)
    found.program.check()
    with numpy.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = f.full(*f.chosen)
        check_value(case, found(*restricted(case).chosen), wanted, "at the sizes recorded with")
        if case.op.name.startswith(NOT_GROWN):
            return
        for sizes in found.other_sizes():
            args = larger(found.program, restricted(case).chosen, sizes)
            check_value(case, found(*copies(args)), f.full(*copies(args)), f"at {sizes}")


def test_ledger_of_fixed_sizes():
    """A row that fixes a size without an entry fails, and so does an entry for one that does not.

    Most rows work for all sizes of their arguments, or for all that fit together.
    """
    fixed = {name for name in ROWS if any(sample.fixed for sample in recorded(name))}
    new, gone = sorted(fixed - set(FIXED)), sorted(set(FIXED) - fixed)
    assert not new, f"rows that fix a size, not in the ledger: {new}"
    assert not gone, f"in the ledger, but they fix no size: {gone}; take them out"
    assert len(fixed) < len(ROWS) / 8


# Programs as users write them


def softmax(x):
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def layer_norm(x):
    centered = x - np.mean(x, axis=-1, keepdims=True)
    return centered / np.sqrt(np.var(x, axis=-1, keepdims=True) + 1e-5)


def network(x, w, v):
    return np.tanh(np.maximum(x @ w, 0.0) @ v)


def attention(x, w, v):
    scores = (x @ w) @ np.swapaxes(x @ w, -1, -2) / np.sqrt(w.shape[1])
    return softmax(scores) @ (x @ w @ v)


def smoothed(x):
    out = np.zeros_like(x)
    out[:, 1:-1] = (x[:, :-2] + x[:, 1:-1] + x[:, 2:]) / 3
    out[:, 0], out[:, -1] = x[:, 0], x[:, -1]
    return out


def distances(x):
    difference = x[:, None, :] - x[None, :, :]
    return np.sum(difference**2, axis=-1) + np.eye(x.shape[0])


def reshaped(x):
    n, m = x.shape
    flat = np.concatenate([x.reshape(-1), np.ones(n), x.T.ravel()])
    return flat[n : n * m].sum() + flat.reshape(1, -1)[:, ::-1]


def counted(x):
    n = x.shape[0]
    weights = np.arange(n) / n + np.linspace(0.0, 1.0, n)
    return (x.T * weights).sum(axis=1) / x.size * 0.5 * n


def stacked(x):
    return np.stack([x, 2 * x], axis=1)[:, 1] + np.hstack([x[:, :1], x])[:, 1:]


def cumulated(x):
    return np.cumsum(x, axis=0) + np.diff(x, axis=1, prepend=0) + np.flip(x, 1) + np.tril(x)


def sorted_rows(x):
    return np.sort(x, axis=1) + np.roll(x, 1, axis=0) + np.pad(x, 1)[1:-1, 1:-1]


def windowed(x):
    return np.convolve(x[:, 0], np.array([0.5, 0.25])) + np.fft.rfft(x, axis=1).real.sum()


PROGRAMS = [
    *[(f, 1) for f in (softmax, layer_norm, smoothed, distances, reshaped, counted, stacked)],
    *[(f, 1) for f in (cumulated, sorted_rows, windowed)],
    (network, 3),
    (attention, 3),
]
SHAPES = [(5, 6), (6, 4), (4, 3)]
OTHERS = [(7, 8), (8, 5), (5, 4)]  # an even number of columns: a gradient of rfft tells them apart


def made(shapes, count):
    rng = numpy.random.default_rng(0)
    return [rng.normal(size=shape) for shape in shapes[:count]]


def total(f):
    return lambda *args: np.sum(np.sin(f(*args)))


def gradient(f, count):
    return np.grad(total(f), tuple(range(count)))


def of_batches(f, count):
    def batched(*args):
        return np.vmap(f)(*(np.stack([arg, 2 * arg, arg + 1]) for arg in args))

    return batched


TRANSFORMED = {
    "value": lambda f, count: f,
    "gradient": gradient,
    "batch": of_batches,
    "batch of gradients": lambda f, count: of_batches(gradient(f, count), count),
    "forward over reverse": lambda f, count: (
        lambda *args: np.jvp(gradient(f, count), args, args)[1]
    ),
}


@pytest.mark.parametrize("name", TRANSFORMED)
@pytest.mark.parametrize(("fun", "count"), PROGRAMS, ids=lambda x: getattr(x, "__name__", ""))
def test_programs_fix_no_size(fun, count, name):
    f = TRANSFORMED[name](fun, count)
    args, others = made(SHAPES, count), made(OTHERS, count)
    found = record(f, args)
    assert not found.fixed, list(map(str, found.scope.guards))
    assert found.scope.holds(found.sizes_of(others)), list(map(str, found.scope.guards))
    for given in (args, others):
        for ours, wanted in zip(leaves_of(found(*given)), leaves_of(f(*given)), strict=True):
            numpy.testing.assert_allclose(ours, wanted, rtol=1e-9, atol=1e-12)


def test_what_users_see():
    seen = []

    def f(x):
        n, m = x.shape
        seen.append((f"{x.shape}", f"{n} rows", repr(x.size), str((n * m) // 2)))
        return x.reshape(-1, 2) * (n // 2)

    found = record(f, [numpy.ones((4, 3))])
    assert seen == [("(4, 3)", "4 rows", "12", "6")]
    assert {"n0 == 4", "n1 == 3"} <= {str(guard) for guard in found.scope.guards}
    assert not found.scope.holds({"n0": 3, "n1": 3})


NUMBERS = {
    "range": lambda x: [x[i] for i in range(x.shape[0])],
    "list": list,
    "len": lambda x: x[: len(x)],
    "numpy.zeros": lambda x: x * numpy.zeros(x.shape[0]),
    "math.sqrt": lambda x: x / math.sqrt(x.shape[0]),
    "math.sqrt of half": lambda x: x / math.sqrt(x.shape[0] / 2),
    "int": lambda x: x[: int(x.shape[0] / 2)],
}


@pytest.mark.parametrize("use", NUMBERS.values(), ids=NUMBERS)
def test_where_python_needs_a_number_the_size_is_fixed(use):
    x = numpy.arange(4.0)
    found = record(use, [x])
    assert found.fixed == {"n0"}
    numpy.testing.assert_equal(found(x), use(x))


def test_views_of_symbolic_sizes_write_through():
    def f(x):
        y = np.array(x)
        y.reshape(-1)[1:] = 0.0
        y.T.ravel()[:] = 7.0  # a copy
        y[:, ::2].T[0] += 1.0
        return y

    found = record(f, [numpy.ones((4, 3))])
    assert not found.fixed
    for shape in [(4, 3), (5, 7), (2, 2)]:
        numpy.testing.assert_array_equal(found(numpy.ones(shape)), f(numpy.ones(shape)))


def test_a_view_that_depends_on_the_size_is_guarded():
    def f(x):
        y = np.array(x)
        y[:, ::2].reshape(-1)[:] = 5.0  # a view where the number of columns is even
        return y

    found = record(f, [numpy.zeros((3, 4))])
    wanted = [found.scope.holds({"n0": 3, "n1": m}) for m in (4, 5, 6)]
    assert wanted == [True, False, True]
    x = numpy.zeros((5, 6))
    numpy.testing.assert_array_equal(found(x), f(x))


# Programs that a fuzzer writes


def check_random_program(seed):
    """Whether a random program can be recorded: then it is right for all sizes it allows."""
    program = program_of(seed)
    arguments = list(program.arguments.values())
    places = [i for i, x in enumerate(arguments) if isinstance(x, numpy.ndarray)]
    chosen, run = [arguments[i] for i in places], program.compiled()

    def filled_in(given):
        given = iter(given)
        return [next(given) if i in places else x for i, x in enumerate(arguments)]

    try:
        found = record(lambda *given: run(np, *filled_in(given)), chosen)
    except (np.ConcretizationError, np.UnsupportedError, np.MutationError):
        return False
    wanted = run(numpy, *filled_in(copies(chosen)))
    check_variables(found(*copies(chosen)), wanted, f"{program}\nat the sizes recorded with")
    for sizes in found.other_sizes():
        args = larger(found.program, chosen, sizes)
        try:
            wanted = run(numpy, *filled_in(copies(args)))
        except (ValueError, IndexError, TypeError, ArithmeticError):
            with pytest.raises((ValueError, IndexError, TypeError, ArithmeticError)):
                found(*copies(args))
        else:
            check_variables(found(*copies(args)), wanted, f"{program}\nat {sizes}")
    return True


def check_variables(found, wanted, what):
    assert list(found) == list(wanted)
    for name in wanted:
        check_same(found[name], wanted[name], f"{what}\n{name}", precision_of(numpy.float32(1)))


@pytest.mark.parametrize("block", range(5))
def test_random_programs(block):
    with numpy.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seeds = [n for n in range(40 * block, 40 * block + 40) if "99" not in program_of(n).source]
        assert sum(map(check_random_program, seeds)) >= 10
