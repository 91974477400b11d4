"""Where there is no compiler, or it fails, the results are the same and one warning says so."""

import os
import signal
import subprocess
import sys
import warnings
from typing import Any

import numpy
import pytest

import xnp
from xnp.runtime import compile as compiler
from xnp.runtime import lower_mlir

WITHOUT_COMPILER = """
import sys
import warnings


class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages}:
            raise ImportError(f"no {{name}} here")


sys.meta_path.insert(0, Absent())
with warnings.catch_warnings(record=True) as found:
    warnings.simplefilter("always")
    import numpy
    import xnp

    x = numpy.linspace(0.1, 1.0, 6)

    def write(a, b):
        a += b
        return a[1:]

    for f in (
        lambda a: numpy.sin(a) * 2 + a.sum(),
        lambda a: (a.reshape(6, 1) @ a.reshape(1, 6)).sum(0),
        xnp.grad(lambda a: (numpy.tanh(a) ** 2).sum()),
        lambda a: xnp.fori_loop(0, 5, lambda i, c: c * 1.5 + a[i], a.copy()),
        lambda a: numpy.linalg.inv(numpy.outer(a, a) + numpy.eye(a.size)),
    ):
        jitted = xnp.jit(f)
        for _ in range(3):
            numpy.testing.assert_allclose(jitted(x), f(x), rtol=1e-12)
    jitted = xnp.jit(write)
    for _ in range(3):
        y = x.copy()
        assert jitted(y, 1.0).base is y
        numpy.testing.assert_array_equal(y, x + 1.0)
    inspection = jitted.inspect(x, 1.0)
    assert inspection.operations == 6 and not inspection.assembly
    with xnp.profile(show=False):
        jitted(x, 1.0)
print(len(found), *(f"{{w.category.__name__}}: {{w.message}}" for w in found))
"""


@pytest.mark.parametrize("packages", [{"mlir"}, {"mlir", "llvmlite"}], ids=["mlir", "both"])
def test_a_platform_without_the_compiler(packages):
    """Programs are interpreted; the first one says so, and no other."""
    program = WITHOUT_COMPILER.format(packages=sorted(packages))
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "XNP_CACHE_DIR": "off"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 RuntimeWarning: xnp.jit interprets Programs with NumPy here: ")


needs_compiler = pytest.mark.skipif(not compiler.is_available(), reason="there is no compiler here")


@needs_compiler
@pytest.mark.parametrize("error", [lower_mlir.LoweringError, KeyError, TypeError, MemoryError])
def test_a_failure_to_compile_is_a_warning(monkeypatch, error):
    """It names the user's own line, and the results are NumPy's."""

    def fail(text):
        raise error("it cannot be said in LLVM")

    monkeypatch.setattr(lower_mlir, "to_llvm_ir", fail)
    monkeypatch.setenv("XNP_CACHE_DIR", "off")

    def shifted(x):
        return numpy.cos(x) - x[0]

    x, jitted = numpy.arange(5.0), xnp.jit(shifted)
    with pytest.warns(
        RuntimeWarning, match=f"interprets shifted .* because of {error.__name__}"
    ) as w:
        numpy.testing.assert_array_equal(jitted(x), shifted(x))
    assert [one.filename for one in w] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        numpy.testing.assert_array_equal(jitted(x + 1), shifted(x + 1))


@needs_compiler
def test_what_is_kept_tells_which_arrays_are_one():
    """Two Programs of the same text, whose arrays, read at each call, are others."""
    a, b, x = numpy.full(7, 2.0), numpy.full(7, 10.0), numpy.ones(7)
    first = xnp.jit(lambda x: x * a * a * b)
    second = xnp.jit(lambda x: x * a * b * b)
    assert first(x)[0] == 40.0
    assert second(x)[0] == 200.0


@needs_compiler
def test_an_interrupt_while_compiling(monkeypatch):
    """It comes out as it is, wherever it falls, and the next call compiles."""

    monkeypatch.setenv("XNP_CACHE_DIR", "off")
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)  # for one in a __del__

    def interrupted(k: float, delay: float) -> bool:
        f = xnp.jit(lambda x: xnp.sum(xnp.exp(x * k) / xnp.sin(x)))
        was_interrupted = False
        try:
            signal.setitimer(signal.ITIMER_REAL, delay)
            f(x)
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            was_interrupted = True
        assert f(x) == pytest.approx(f.__wrapped__(x), rel=1e-12)
        (entries,) = f._entries.values()
        assert type(entries[0].executable) is compiler.Compiled
        return was_interrupted

    x = numpy.linspace(0.1, 1.0, 50)
    interrupted(0.5, 0.0)  # loads the compiler
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = [interrupted(1.0 + i / 1000, (2 * i + 1) / 1000) for i in range(30)]
    finally:
        signal.signal(signal.SIGALRM, before)
    assert any(found)


@needs_compiler
def test_an_interrupt_in_mlirs_walk(monkeypatch):
    """MLIR makes a RuntimeError of what its callback raises."""

    monkeypatch.setenv("XNP_CACHE_DIR", "off")

    def press(frame: Any, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and (code.co_filename, code.co_name) == (lower_mlir.__file__, "visit"):
            raise KeyboardInterrupt

    f, x = xnp.jit(lambda x: xnp.cos(x) + 0.123), numpy.ones(5)
    sys.setprofile(press)
    try:
        with pytest.raises(KeyboardInterrupt):
            f(x)
    finally:
        sys.setprofile(None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        numpy.testing.assert_allclose(f(x), f.__wrapped__(x), rtol=1e-14)
