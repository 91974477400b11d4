"""Which primitive has which rule, and that rows exercise all of them: ledgers of the gaps.

A gap that is not listed fails, and so does a listed gap that is closed. Print the table with
``pytest -s tests/test_ledger_rules.py -k table``.
"""

import re
from functools import cache

import pytest
import scipy.special
from op_table import CASES, OPS
from recording import run_everything, visited_binds

import xnp
from xnp.autodiff import dispatch
from xnp.autodiff.core import Primitive, primitives
from xnp.autodiff.structured import Structured
from xnp.codegen.affine import INDEX_OPERATIONS
from xnp.codegen.mlir.addresses import SOURCES
from xnp.codegen.mlir.elementwise import LOWER
from xnp.codegen.mlir.module import OPERATIONS
from xnp.codegen.plan import REDUCTIONS, RUNNING
from xnp.codegen.planner import Planner

RULES = ("numpy", "shape", "jvp", "vjp", "batch", "cpu")

# What native code calls back for.
CALLED = (
    *("argpartition", "eig", "fft_c2c", "fft_c2r", "fft_r2c", "householder", "i0"),
    *("inverse_order", "largest_mask", "last_writer", "lexsort", "lstsq", "matrix_scale"),
    *("nullity", "overlap_add", "packbits", "partition_order", "permute", "pinv", "qr_complete"),
    "qr_raw",
    *("rank", "ravel_multi_index", "recurrence", "refuse", "singular_bases"),
    *("unpackbits", "unravel_index", "warn"),
)
CALLED_OF_SCIPY = tuple(
    f"scipy.{name}"
    for name in (
        *("beta", "betainc", "betaln", "cosm1", "entr", "erfcinv", "erfinv", "exp1", "exp10"),
        *("expi", "gamma", "gammainc", "gammaincc", "gammaln", "hazard", "i0", "i0e", "i1", "i1e"),
        *("iv", "ive", "j0", "j1", "jv", "k0", "k0e", "k1", "k1e", "kl_div", "kv", "kve"),
        *("log_expit", "log_ndtr", "loggamma", "logit", "ndtri", "psi", "rel_entr", "rgamma"),
        *("xlog1py", "xlogy", "y0", "y1", "yv", "zeta"),
    )
)

# (primitive, rule) -> why it has none.
GAPS = {
    ("eig", "shape"): "the results for a real matrix are real if all its eigenvalues are",
    **{(name, "batch"): "it has no arguments" for name in ("dimension", "iota")},
    **{("called", rule): "it stands on a tape only" for rule in ("shape", "batch", "cpu")},
    **{(name, "cpu"): "NumPy is called: its own code is native" for name in CALLED},
    **{(name, "cpu"): "SciPy is called: its own code is native" for name in CALLED_OF_SCIPY},
    **{
        (name, rule): "made for code generation only"
        for name in ("pieces", "matmul_sum", "partition", "sort", "eigvalsh", "svdvals", "assemble")
        for rule in ("jvp", "vjp", "batch")
    },
    ("partition", "cpu"): "NumPy is called: its own code is native",
    ("norm2", "cpu"): "it becomes a sum of squares when a Program is optimised",
    (
        "slide",
        "cpu",
    ): "with up to 128 weights or results it becomes sums when a Program is optimised",
    ("unstack", "cpu"): "it is bound outside of Programs only",
    ("round_number", "cpu"): "Python is called: it rounds decimal numbers exactly",
    **{(name, "cpu"): "nothing to call: the size is not known" for name in ("nonzero", "roots")},
    ("nonzero", "shape"): "the size of the result is the number of True elements",
    ("roots", "shape"): "how many there are, and whether they are complex, depends on the values",
}

# Primitives that no row binds, and why.
UNEXERCISED = {
    **dict.fromkeys(("dimension", "iota"), "symbolic sizes: see test_symbolic_shapes.py"),
    "round_number": "Python numbers that are traced: see test_python_numbers.py",
    **dict.fromkeys(("call", "called"), "jitted functions: see test_op_jit.py"),
    **dict.fromkeys(
        ("branch", "checkpoint", "for", "scan", "sweeps", "while"),
        "regions: see test_control_flow.py",
    ),
    "assemble": "made when a Program is optimised: see test_boxes.py",
    "matmul_sum": "made when a Program is optimised: see test_products.py",
    **dict.fromkeys(("partition", "sort"), "made when a Program is optimised: see test_sorting.py"),
    **dict.fromkeys(
        ("eigvalsh", "svdvals"), "made when a Program is optimised: see test_lower_libraries.py"
    ),
    "pieces": "made when a Program is optimised: see test_batches.py",
    "unstack": "the slices of xs in a scan that Python runs: see test_control_flow.py",
}

# NumPy functions and ufuncs with an implementation that no row covers, and why.
UNCOVERED = {
    "np.einsum_path": "it gives a path, not arrays; see test_einsum.py",
    **dict.fromkeys(
        (
            "np.array2string",
            "np.array_repr",
            "np.array_str",
            "np.can_cast",
            "np.common_type",
            "np.may_share_memory",
            "np.min_scalar_type",
            "np.result_type",
            "np.shares_memory",
        ),
        "gives text or facts about arrays, not arrays; see test_queries.py",
    ),
}


@pytest.fixture(autouse=True, scope="module")
def all_tables_are_loaded():
    """The rules for SciPy's ufuncs wait for their first use."""
    dispatch.late_ufunc(scipy.special.erf)
    assert all((xnp.fori_loop, xnp.cond, xnp.jit))  # their modules, too


DERIVED = re.compile(r"(sinc|scipy\.\w+)_\d+")  # made when a derivative is first taken

# What the code generator has code for.
NATIVE = {
    *LOWER,
    *OPERATIONS,
    *INDEX_OPERATIONS,
    *REDUCTIONS,
    *RUNNING,
    *SOURCES,
    *(name.removeprefix("_add_") for name in vars(Planner) if name.startswith("_add_")),
}


def rules_of(primitive: Primitive) -> set[str]:
    """The rules a primitive has; one that is constant almost everywhere needs no derivative."""
    found = {"numpy"} if callable(primitive.impl) else set()
    if primitive.shape_rule is not None or overrides(primitive, "shape"):
        found.add("shape")
    if not primitive.differentiable or overrides(primitive, "push", "process_jvp", "with_tangents"):
        found.add("jvp")
    if not primitive.differentiable or overrides(primitive, "pull", "process_tape"):
        found.add("vjp")
    if primitive.batch_rule is not None or overrides(primitive, "batch"):
        found.add("batch")
    if primitive.name in NATIVE:
        found.add("cpu")
    return found


def overrides(primitive: Primitive, *methods: str) -> bool:
    """Whether a primitive has one of these methods of its own."""
    bases = {Primitive, Structured}
    return any(
        method in vars(owner)
        for method in methods
        for owner in (primitive, *(c for c in type(primitive).__mro__ if c not in bases))
    )


def table() -> str:
    width = max(map(len, primitives))
    lines = [f"{'primitive':{width}}  {'  '.join(RULES)}"]
    for name in sorted(primitives):
        has = rules_of(primitives[name])
        marks = (("yes" if rule in has else "-").center(len(rule)) for rule in RULES)
        lines.append(f"{name:{width}}  {'  '.join(marks)}")
    return "\n".join(lines)


def compare_with_ledger(found: set, ledger: dict, what: str) -> None:
    new, closed = sorted(found - set(ledger)), sorted(set(ledger) - found)
    assert not new, f"{what}, not in the ledger: {new}"
    assert not closed, f"listed in the ledger, but closed or gone: {closed}; take them out"


def test_table_of_rules():
    """Every primitive has its meaning in NumPy, its shape, derivative and batching rule."""
    print("\n" + table())
    gaps = {
        (name, rule)
        for name, primitive in primitives.items()
        for rule in set(RULES) - rules_of(primitive)
        if not (rule == "cpu" and DERIVED.fullmatch(name))
    }
    compare_with_ledger(gaps, GAPS, "primitives without a rule")


@cache
def exercised() -> frozenset[str]:
    seen: set[str] = set()
    with visited_binds(lambda primitive, *_: seen.add(primitive.name)):
        for case in CASES:
            run_everything(case)
    return frozenset(seen)


def test_rows_exercise_every_primitive():
    compare_with_ledger(set(primitives) - exercised(), UNEXERCISED, "primitives that no row binds")


def test_rows_cover_every_function_and_ufunc():
    """By `Op.covers`, in which a row names the functions it is for."""
    covered = {dispatch.name_of(function) for row in OPS for function in row.covers}
    known = {dispatch.name_of(f) for f in (*dispatch.FUNCTIONS, *dispatch.UFUNCS)}
    assert not covered - known, f"rows cover what has no rule: {sorted(covered - known)}"
    compare_with_ledger(known - covered, UNCOVERED, "functions that no row covers")


def test_names_of_rows_are_unique():
    names = [row.name for row in OPS]
    assert len(names) == len(set(names)), sorted({n for n in names if names.count(n) > 1})


def test_exceptions_of_rows_have_reasons():
    """A row that asks for less than the rule says why."""
    for row in OPS:
        less = row.diff is not None or row.vmap is not True or row.order < 2 or row.rtol > 1000
        assert row.reason or not less, f"{row}: diff, vmap, order or rtol is set without a reason"
