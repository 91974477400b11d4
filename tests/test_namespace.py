"""`import xnp as np`: every public name of NumPy, and a two-way ledger of what is not supported."""

import configparser
import functools
import importlib
import inspect
import pickle
import re
import subprocess
import sys
import types
import warnings
from pathlib import Path

import numpy
import pytest

import xnp as np
from xnp.autodiff import dispatch
from xnp.autodiff.handles import TracedArray
from xnp.numpy_api import ledger
from xnp.numpy_api.namespace import OURS

ROOT = Path(__file__).resolve().parents[1]
MODULES = ["", "linalg", "fft", "emath", "strings", "char", "lib.stride_tricks", "lib.array_utils"]
DISPATCHER = type(numpy.sum)  # what numpy.* functions with an array argument are
TEXT_DISPATCHES = isinstance(numpy.strings.lower, DISPATCHER)  # from NumPy 2.3 on

TRANSFORMATIONS = {
    *("derivative", "grad", "hessian", "hvp", "jacfwd", "jacobian", "jacrev", "jvp", "linearize"),
    *("stop_gradient", "value_and_grad", "vjp", "vmap", "jit", "explain"),
    *("threads", "profile", "cache"),
    *("checkpoint", "cond", "fori_loop", "scan", "switch", "while_loop"),
    "debug",
}
ERRORS = {
    *("BatchingError", "ConcretizationError", "DifferentiationError", "LeakedTracerError"),
    "UnknownSizeError",
    *("MutationError", "UnsupportedError"),
}


def numpys_module(name):
    module = numpy
    for part in filter(None, name.split(".")):
        module = getattr(module, part)
    return module


def public(module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # for looking at np.char.chararray
        return {name: getattr(module, name) for name in getattr(module, "__all__", dir(module))}


def dispatching():
    """All functions and ufuncs of NumPy that ask their arguments first, by name."""
    found = {}
    for module in MODULES:
        for name, value in public(numpys_module(module)).items():
            if isinstance(value, DISPATCHER | numpy.ufunc) and value not in found:
                found[value] = f"{module}.{name}".lstrip(".")
    return found


def test_every_name_of_numpy_is_there():
    assert set(numpy.__all__) <= set(np.__all__)
    assert set(np.__all__) - set(numpy.__all__) == TRANSFORMATIONS | ERRORS
    for name in np.__all__:
        assert hasattr(np, name), name
    assert set(np.__all__) <= set(dir(np))


def test_a_name_is_numpys_own_object_or_in_the_list_of_ours():
    changed = {name for name in numpy.__all__ if getattr(np, name) is not getattr(numpy, name)}
    assert changed == {*OURS, "testing", "polynomial", "__version__"}


def test_nothing_else_is_in_the_namespace():
    extra = {name for name in dir(np) if not name.startswith("_")} - set(np.__all__)
    assert extra <= {"autodiff", "codegen", "numpy_api", "runtime", "map"}


def test_testing_is_ours_whatever_is_loaded_first(tmp_path):
    code = "import numpy.testing, xnp; assert xnp.testing.check_grads is not None"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_star_import(tmp_path):
    code = "from xnp import *; assert grad(sin)(0.0) == 1.0; assert zeros is not None"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_version_is_the_packages():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert np.__version__ == config["metadata"]["version"]


def test_unknown_and_removed_names():
    with pytest.raises(AttributeError, match="module 'xnp' has no attribute 'no_such_name'"):
        _ = np.no_such_name
    with pytest.raises(AttributeError, match=r"removed in the NumPy 2\.0 release"):
        _ = np.float_


@pytest.mark.parametrize("name", ["linalg", "fft", "random", "lib.stride_tricks", "ma", "lib"])
def test_submodules_are_numpys_and_can_be_imported(name):
    assert importlib.import_module(f"xnp.{name}") is importlib.import_module(f"numpy.{name}")
    assert sys.modules[f"numpy.{name}"].__spec__.name == f"numpy.{name}"
    assert numpys_module(name) is importlib.import_module(f"xnp.{name}")


def test_no_submodule_is_invented():
    with pytest.raises(ModuleNotFoundError, match=r"xnp\.no_such_module"):
        importlib.import_module("xnp.no_such_module")
    with pytest.raises(ModuleNotFoundError, match=r"xnp\.sin"):
        importlib.import_module("xnp.sin")


def test_testing_has_ours_and_numpys():
    assert np.testing.check_grads
    assert np.testing.assert_allclose is numpy.testing.assert_allclose


# Two ways: what has no implementation is in the ledger, and what is in the ledger has none.


def test_every_dispatching_function_is_implemented_or_in_the_ledger():
    implemented = dispatch.FUNCTIONS.keys() | dispatch.UFUNCS.keys()
    missing = [
        name
        for function, name in dispatching().items()
        if function not in implemented and function not in dispatch.UNSUPPORTED
    ]
    assert not missing


def test_no_function_is_both_implemented_and_in_the_ledger():
    both = dispatch.UNSUPPORTED.keys() & (dispatch.FUNCTIONS.keys() | dispatch.UFUNCS.keys())
    assert not both


def test_the_ledger_names_only_functions_that_numpy_dispatches():
    assert dispatch.UNSUPPORTED.keys() <= dispatching().keys()


# Functions written in C, whose signatures Python knows from NumPy 2.4 on: how many arguments.
C_FUNCTIONS = {
    **dict.fromkeys(["datetime_as_string", "is_busday"], 1),
    **dict.fromkeys(["busday_count", "busday_offset"], 2),
}


def call_with(function, x):
    """A call that NumPy dispatches: x for every argument that has no default."""
    if function.__name__.startswith("save"):
        return function("a file", x)
    if isinstance(function, numpy.ufunc):
        return function(*[x] * function.nin)
    if function.__name__ in C_FUNCTIONS:
        return function(*[x] * C_FUNCTIONS[function.__name__])
    parameters = inspect.signature(function).parameters.values()
    return function(*[x for p in parameters if p.default is p.empty])


@pytest.mark.parametrize("function", dispatch.UNSUPPORTED, ids=dispatch.name_of)
def test_an_unsupported_function_says_why_and_what_to_write(function):
    reason, instead = dispatch.UNSUPPORTED[function]
    with pytest.raises(np.UnsupportedError) as caught:
        np.grad(lambda x: call_with(function, x))(1.0)
    text = str(caught.value)
    assert dispatch.name_of(function) in text
    assert reason in text
    assert instead in text
    assert "test_namespace.py" in text


def test_functions_of_modules_that_are_not_loaded_with_numpy():
    from numpy.lib import recfunctions

    with pytest.raises(np.UnsupportedError, match="no named fields; keep the fields as separate"):
        np.grad(recfunctions.structured_to_unstructured)(1.0)


def test_every_name_that_does_not_dispatch_is_ours_or_explained():
    plain = {
        name
        for name, value in public(numpy).items()
        if callable(value)
        and not name.startswith("_")
        and not isinstance(value, DISPATCHER | numpy.ufunc)
        and not (isinstance(value, type) and issubclass(value, numpy.generic | numpy.dtype))
    }
    plain -= set(OURS)
    assert plain - ledger.NOT_DISPATCHED.keys() == set()


def test_no_explained_name_dispatches_or_is_ours():
    for name in ledger.NOT_DISPATCHED:
        if hasattr(numpy, name):
            assert name not in OURS, name
            assert not isinstance(getattr(numpy, name), DISPATCHER | numpy.ufunc), name


def test_every_attribute_of_ndarray_is_there_or_explained():
    missing = {name for name in dir(numpy.ndarray) if not hasattr(TracedArray, name)}
    missing -= {"_set_dtype", "_set_shape"}  # private, from NumPy 2.5 on
    assert missing == {name for name in ledger.NDARRAY_ATTRIBUTES if hasattr(numpy.ndarray, name)}


def test_docs_list_what_is_not_supported():
    text = (ROOT / "docs" / "supported.md").read_text()
    if TEXT_DISPATCHES:
        assert text == page(), "run: python tests/test_namespace.py"
    else:
        assert set(re.findall("`.*?`", page())) <= set(re.findall("`.*?`", text))


# xnp.ndarray


def test_instances_of_ndarray():
    def f(x):
        assert isinstance(x, np.ndarray)
        assert isinstance(x[:1], np.ndarray)
        assert not isinstance(x[0], np.ndarray)
        assert not isinstance(np.sum(x), np.ndarray)
        assert isinstance(x, (float, np.ndarray))
        assert issubclass(type(x), np.ndarray)
        return np.sum(x)

    np.grad(f)(numpy.ones(2))
    np.grad(lambda x: x if not isinstance(x, np.ndarray) else None)(1.0)
    assert isinstance(numpy.ones(1), np.ndarray)
    assert not isinstance([1.0], np.ndarray)


def test_an_implementation_for_ndarray():
    twice = functools.singledispatch(lambda _: None)
    twice.register(np.ndarray, lambda x: np.sum(2 * x))
    assert twice(numpy.ones(2)) == np.jit(twice)(numpy.ones(2)) == 4.0
    numpy.testing.assert_array_equal(np.grad(twice)(numpy.ones(2)), [2.0, 2.0])


def test_ndarray_as_a_type():
    assert type(np.ndarray((2,), float)) is numpy.ndarray
    assert issubclass(numpy.ndarray, np.ndarray)
    assert issubclass(numpy.matrix, np.ndarray)
    assert not issubclass(list, np.ndarray)
    assert np.ndarray == numpy.ndarray
    assert hash(np.ndarray) == hash(numpy.ndarray)
    assert np.ndarray.sum is numpy.ndarray.sum
    assert isinstance(np.ndarray[tuple, np.dtype], types.GenericAlias)
    assert (np.ndarray | None) is not None


def test_a_subclass_of_ndarray_is_one_of_numpys():
    class Named(np.ndarray):
        def __new__(cls, shape, name):
            self = np.ndarray.__new__(cls, shape)
            self.name = name
            return self

        def __array_finalize__(self, other):
            self.name = getattr(other, "name", None)

        def __repr__(self):
            return f"{self.name}: {np.ndarray.__repr__(self)}"

    a = Named((1,), "weights")
    a[:] = 2
    assert Named.__mro__[1] is numpy.ndarray
    assert (a + 1).name == "weights"
    assert repr(a) == "weights: Named([2.])"
    assert isinstance(a, np.ndarray)


def test_ndarray_can_be_pickled_and_matched():
    assert pickle.loads(pickle.dumps(np.ndarray)) is np.ndarray
    match numpy.ones(2):
        case np.ndarray():
            pass
        case _:
            raise AssertionError


def page():
    """The text of docs/supported.md."""
    lines = [
        "# What does not work on traced arrays",
        "",
        "Every other function of NumPy does. What has to be written differently is in the "
        "[tutorial](tutorial.md#what-to-change-in-a-numpy-program). This page is written by "
        "`python tests/test_namespace.py`, from `numpy_api/ledger.py`.",
        "",
        "## Functions that raise `UnsupportedError`",
        "",
        "| functions | reason | instead |",
        "|---|---|---|",
    ]
    entries = {}
    for function, entry in dispatch.UNSUPPORTED.items():
        entries.setdefault(entry, []).append(dispatch.name_of(function))
    for module, entry in dispatch.UNSUPPORTED_MODULES.items():
        entries.setdefault(entry, []).append(f"{module.replace('numpy', 'np', 1)}.*")
    lines += [f"| {code(names)} | {why} | {then} |" for (why, then), names in entries.items()]
    lines += ["", "## Names that NumPy does not dispatch", "", "| names | why |", "|---|---|"]
    reasons = {}
    for name, reason in ledger.NOT_DISPATCHED.items():
        reasons.setdefault(reason, []).append(f"np.{name}")
    lines += [f"| {code(names)} | {reason} |" for reason, names in reasons.items()]
    lines += ["", "## Attributes of `numpy.ndarray`", "", "| attribute | why not |", "|---|---|"]
    lines += [f"| `{name}` | {reason} |" for name, reason in ledger.NDARRAY_ATTRIBUTES.items()]
    return "\n".join(lines) + "\n"


def code(names):
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    (ROOT / "docs" / "supported.md").write_text(page())
