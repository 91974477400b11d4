"""What a jitted function reads in places that are hard to see: the plain function's result, too."""

import builtins
import contextvars
import importlib
import random
import subprocess
import sys
import threading
import types
import warnings

import numpy
import pytest

import xnp as np
from xnp.runtime import modules

pytestmark = pytest.mark.usefixtures("both_ways")

RATE = 2.0
X = numpy.array([1.0, 2.0])


def in_thread(f):
    found = []
    thread = threading.Thread(target=lambda: found.append(f()))
    thread.start()
    thread.join()
    return found[0]


class Settings(threading.local):
    rate = 2.0


@pytest.mark.parametrize("kind", [threading.local, Settings])
def test_each_thread_has_its_own_attributes(kind):
    local = kind()
    local.rate = 3.0
    f = np.jit(lambda x: x * getattr(local, "rate", 1.0))

    def other():
        first = f(1.0)
        local.rate = 5.0
        return [first, f(1.0), f(1.0)]

    for _ in range(2):
        assert f(1.0) == 3.0
        assert in_thread(other) == [getattr(kind, "rate", 1.0), 5.0, 5.0]
    local.rate = 4.0
    assert f(1.0) == 4.0


def test_each_thread_has_its_own_context():
    rate = contextvars.ContextVar("rate", default=2.0)
    f = np.jit(lambda x: x * rate.get())
    rate.set(3.0)
    assert f(1.0) == 3.0
    assert in_thread(lambda: [f(1.0), rate.set(7.0) and f(1.0)]) == [2.0, 7.0]
    assert f(1.0) == 3.0


# -- random numbers --


def draws_of(make, draw):
    """What three calls of a jitted function draw, and of a plain one."""
    found = []
    for transformation in (np.jit, lambda f: f):
        generator = make()
        f = transformation(draw(generator))
        found.append([float(f(1.0)) for _ in range(3)])
    return found


class Loaded(random.Random):
    def twice(self):
        return 2 * self.random()


def through_a_method(generator):
    method = generator.random
    return lambda x: x + method()


DRAWS = {
    "closure": (random.Random, lambda g: lambda x: x + g.random()),
    "gauss": (random.Random, lambda g: lambda x: x + g.gauss(0.0, 1.0)),
    "subclass": (Loaded, lambda g: lambda x: x + g.twice()),
    "method": (random.Random, through_a_method),
    "numpy's method": (numpy.random.default_rng, through_a_method),
    "half a pair": (numpy.random.RandomState, lambda g: lambda x: x + g.randn()),
    "in a list": (random.Random, lambda g: lambda x, held=[g]: x + held[0].random()),
}


@pytest.mark.parametrize("name", DRAWS)
def test_generators_draw_at_each_call(name):
    kind, draw = DRAWS[name]

    def make():
        generator = kind(1)
        if name == "half a pair":
            generator.randn()
        return generator

    ours, plain = draws_of(make, draw)
    assert ours == plain
    assert len(set(ours)) == 3


def test_a_generator_of_pythons_as_argument():
    f = np.jit(lambda x, generator: x + generator.random())
    ours, plain = random.Random(2), random.Random(2)
    assert [f(1.0, ours) for _ in range(3)] == [1.0 + plain.random() for _ in range(3)]


@pytest.mark.parametrize("draw", ["random.random()", "numpy.random.normal()"])
def test_modules_that_the_function_loads_itself(draw):
    source = f"""
import numpy, xnp as np
def f(x):
    import random
    return x + {draw}
g = np.jit(f)
assert len({{float(g(1.0)) for _ in range(3)}}) == 3
"""
    subprocess.run([sys.executable, "-c", source], check=True)


# -- arrays --


def test_elements_of_arrays_of_objects():
    table = numpy.array([1.0, [2.0]], dtype=object)
    f = np.jit(lambda x: x + table[0] + table[1][0])
    assert f(1.0) == 4.0
    table[0] = 5.0
    assert f(1.0) == 8.0
    table[1][0] = 7.0
    assert f(1.0) == 13.0


def test_masks_and_attributes_of_arrays():
    masked = numpy.ma.masked_array([1.0, 2.0, 6.0], mask=[False, False, True])
    f = np.jit(lambda x: x * float(masked.mean()))
    assert f(1.0) == 1.5
    masked.mask = [False, False, False]
    assert f(1.0) == 3.0
    masked.mask[0] = True
    assert f(1.0) == 4.0

    class Labelled(numpy.ndarray):
        unit = 1.0

    array = numpy.ones(3).view(Labelled)
    g = np.jit(lambda x: x * array.unit)
    assert g(2.0) == 2.0
    array.unit = 3.0
    assert g(2.0) == 6.0


def test_objects_in_fields_are_told_of():
    table = numpy.zeros(2, [("name", object), ("value", float)])
    with pytest.warns(RuntimeWarning, match="does not see changes of the objects in table"):
        assert np.jit(lambda x: x * float(table["value"][0] + 1))(2.0) == 2.0


def test_views_of_memory_in_a_closure():
    memory = bytearray(b"\x02")
    view = memoryview(memory)
    f = np.jit(lambda x: x * view[0])
    assert f(1.5) == 3.0
    memory[0] = 4
    assert f(1.5) == 6.0


# -- names that do not stand in the code --


def namespace_of(f):
    return f.__globals__["RATE"]


READS = {
    "globals": lambda x: x * globals()["RATE"],
    "eval": lambda x: eval("x * RATE"),
    "exec": lambda x: exec("y = x * RATE", globals(), found := {"x": x}) or found["y"],
    "builtins": lambda x: x * builtins.eval("RATE"),
    "__globals__": lambda x: x * namespace_of(namespace_of),
    "called": lambda x: READS["globals"](x) + 0.0,
}


@pytest.mark.parametrize("name", READS)
def test_globals_by_name(name, monkeypatch):
    f = np.jit(READS[name])
    with pytest.warns(RuntimeWarning, match="jit runs <lambda> uncompiled: what .* reads is not"):
        assert f(1.5) == 3.0
    monkeypatch.setitem(globals(), "RATE", 3.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert f(1.5) == 4.5
    assert "Read variables by their names" in np.explain(f)[0].note


class Settled:
    rate = 2.0

    def debug(self):
        print(globals()["RATE"])

    @np.jit
    def scaled(self, x):
        return x * self.rate


class Calling:
    def named(self, x):
        return x * eval("RATE")

    @np.jit
    def called(self, x):
        return self.named(x)


class Choosing(Calling):
    @np.jit
    def chosen(self, x):
        return getattr(self, "na" + "med")(x)


def test_methods_that_are_not_called_hide_nothing(monkeypatch):
    Settled.scaled.clear_cache()
    assert Settled().scaled(1.5) == 3.0
    assert np.explain(Settled.scaled)[0].note == ""
    for method in (Calling().called, Choosing().chosen):
        method.clear_cache()
        monkeypatch.setitem(globals(), "RATE", 2.0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            assert method(1.5) == 3.0
        monkeypatch.setitem(globals(), "RATE", 3.0)
        assert method(1.5) == 4.5


def test_what_vars_and_locals_read_is_seen():
    module = types.ModuleType("settings_by_vars")
    module.rate, local = 2.0, 3.0
    f = np.jit(lambda x: x * vars(module)["rate"] * locals()["local"] + 0 * local)
    assert f(1.0) == 6.0
    module.rate = 4.0
    assert f(1.0) == 12.0
    local = 5.0
    assert f(1.0) == 20.0
    assert [compiled.note for compiled in np.explain(f)] == [""] * 3


def test_defaults_that_are_replaced():
    def inner(x, k=2.0, *, m=1.0):
        return x * k + m

    def without(x, *, m):
        return x + m

    f, g = np.jit(lambda x: inner(x) + 0), np.jit(lambda x: without(x) + 0)
    without.__kwdefaults__ = {"m": 1.0}
    assert (f(1.0), g(1.0)) == (3.0, 2.0)
    inner.__kwdefaults__ = {"m": 5.0}
    without.__kwdefaults__ = {"m": 2.0}
    assert (f(1.0), g(1.0)) == (7.0, 3.0)
    inner.__defaults__ = (4.0,)
    inner.__kwdefaults__["m"] = 6.0
    assert f(1.0) == 10.0


@pytest.mark.parametrize(
    "read",
    [
        lambda module: getattr(module, "rate", 1.0),
        lambda module: module.rate if hasattr(module, "rate") else 1.0,
        lambda module: vars(module).get("rate", 1.0),
    ],
    ids=["getattr", "hasattr", "vars"],
)
def test_a_name_that_a_module_gets_later(read):
    module = types.ModuleType("settings_of_mine")
    f = np.jit(lambda x: x * read(module))
    assert f(2.0) == 2.0
    module.rate = 3.0
    assert f(2.0) == 6.0
    module.other = 1.0
    assert f(2.0) == 6.0
    del module.rate
    assert f(2.0) == 2.0


def rated(x):
    """Rated."""
    return x * getattr(rated, "rate", 1.0)


@pytest.mark.parametrize("inner", [False, True])
def test_an_attribute_that_a_function_gets_later(inner, monkeypatch):
    f = np.jit((lambda x: rated(x)) if inner else rated)  # noqa: PLW0108 - reached from another
    assert f(2.0) == 2.0
    monkeypatch.setattr(rated, "rate", 3.0, raising=False)
    assert f(2.0) == 6.0
    monkeypatch.setattr(rated, "rate", 4.0)
    assert f(2.0) == 8.0
    monkeypatch.delattr(rated, "rate")
    assert f(2.0) == 2.0


def test_what_functions_say_of_themselves(monkeypatch):
    f = np.jit(lambda x: x * len(rated.__doc__) + len(rated.__annotations__))
    assert f(1.0) == 6.0
    monkeypatch.setattr(rated, "__doc__", "")
    assert f(1.0) == 0.0
    monkeypatch.setitem(rated.__annotations__, "x", float)
    assert f(1.0) == 1.0


# -- modules that functions import --

PACKAGE = {
    "__init__.py": "level = 2.0",
    "config.py": "rate = 2.0",
    "late.py": "rate = 2.0",
    "inner/__init__.py": "",
    "inner/functions.py": """
def names_from_module(x):
    from ..config import rate
    return x * rate

def module_from_package(x):
    from .. import config
    return x * config.rate

def name_from_package(x):
    from .. import level as found
    return x * found

def whole(x):
    import package_of_mine.config
    return x * package_of_mine.config.rate

def package_around(x):
    import package_of_mine.config
    return x * package_of_mine.level

def late_name(x):
    from ..late import rate
    return x * rate

def late_module(x):
    from .. import late
    return x * late.rate

def late_whole(x):
    import package_of_mine.late as found
    return x * found.rate
""",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    for name, text in PACKAGE.items():
        path = tmp_path / "package_of_mine" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("package_of_mine.config")
    yield importlib.import_module("package_of_mine.inner.functions")
    for name in [name for name in sys.modules if name.startswith("package_of_mine")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("name", "module", "variable"),
    [
        ("names_from_module", "config", "rate"),
        ("module_from_package", "config", "rate"),
        ("name_from_package", "", "level"),
        ("whole", "config", "rate"),
        ("package_around", "", "level"),
        ("late_name", "late", "rate"),
        ("late_module", "late", "rate"),
        ("late_whole", "late", "rate"),
    ],
)
def test_what_a_function_imports_changes(name, module, variable, package):
    f = np.jit(getattr(package, name))
    assert f(1.5) == 3.0
    found = sys.modules[f"package_of_mine.{module}".rstrip(".")]
    setattr(found, variable, 3.0)
    assert f(1.5) == 4.5
    compiled = len(np.explain(f))
    assert f(1.5) == 4.5
    assert len(np.explain(f)) == compiled


def test_a_module_that_the_function_imports_first_is_noted(package):
    f = np.jit(package.late_name)
    assert [f(1.5) for _ in range(3)] == [3.0] * 3
    assert [compiled.note[:15] for compiled in np.explain(f)] == ["imports modules", ""]


def test_a_module_is_replaced(package, monkeypatch):
    f = np.jit(package.names_from_module)
    assert f(1.5) == 3.0
    other = types.ModuleType("package_of_mine.config")
    other.rate = 3.0
    monkeypatch.setitem(sys.modules, "package_of_mine.config", other)
    assert f(1.5) == 4.5


def test_a_module_of_the_users_with_a_name_of_the_standard_library(tmp_path, monkeypatch):
    (tmp_path / "tabnanny.py").write_text("rate = 2.0\ndef f(x): return x * rate\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tabnanny", raising=False)
    modules._is_pythons.cache_clear()
    mine = importlib.import_module("tabnanny")
    try:
        jitted = np.jit(lambda x: mine.f(x) + mine.rate)
        assert jitted(1.5) == 5.0
        mine.rate = 3.0
        assert jitted(1.5) == 7.5
    finally:
        del sys.modules["tabnanny"]
        modules._is_pythons.cache_clear()


def test_a_module_that_must_not_be_imported(monkeypatch):
    def f(x):
        try:
            import module_of_nobody
        except ImportError:
            return x
        return x * module_of_nobody.rate

    jitted = np.jit(f)
    assert [jitted(1.5) for _ in range(3)] == [1.5] * 3
    monkeypatch.setitem(sys.modules, "module_of_nobody", None)
    assert [jitted(1.5) for _ in range(3)] == [1.5] * 3
    assert len(np.explain(jitted)) == 2
    module = types.ModuleType("module_of_nobody")
    module.rate = 3.0
    monkeypatch.setitem(sys.modules, "module_of_nobody", module)
    assert jitted(1.5) == 4.5
