"""Looking inside: counts of bytes and operations, pictures, the page; and the debug ladder."""

import shutil
import xml.etree.ElementTree as ElementTree

import numpy
import pytest
from programs_of import program_of

import xnp
from xnp.codegen.counts import kernels, operations
from xnp.codegen.drawing import in_units, svg_text
from xnp.codegen.inspection import Inspection
from xnp.codegen.pipeline import optimize
from xnp.runtime.compile import is_available
from xnp.runtime.debug import debug, debug_level, pass_hook, show


@pytest.fixture(autouse=True)
def _no_debug(monkeypatch):
    monkeypatch.delenv("XNP_DEBUG", raising=False)


def softmax(x, w):
    x = xnp.tanh(x @ w)
    e = xnp.exp(x - xnp.max(x, axis=-1, keepdims=True))
    return e / xnp.sum(e, axis=-1, keepdims=True)


def inspected(name="softmax", **code):
    program = program_of(softmax, (numpy.ones((3, 5)), numpy.ones((5, 4))))
    program.name = name
    optimized = optimize(program)
    e = optimized.equations
    groups = [("kernel 0", "library call", e[:1]), ("kernel 1", "loop nest", e[1:])]
    return Inspection(program, optimized, kernels(optimized, groups), **code)


# -- counts --


def counted(f, *args):
    return sum(map(operations, program_of(f, args).equations))


def test_operations():
    x = numpy.ones((6, 4))
    assert counted(lambda x: xnp.sin(x) + 1, x) == 48
    assert counted(lambda x: x @ x.T, x) == 2 * 6 * 6 * 4
    assert counted(lambda x: x @ x[0], x) == 2 * 6 * 4
    assert counted(lambda x: x.sum(0), x) == 24
    assert counted(lambda x: x.reshape(4, 6).T[::2], x) == 0
    assert counted(lambda x: xnp.linalg.cholesky(x[:4] + 4), x) == 16 + 64 // 3
    assert counted(lambda x: xnp.fft.fft(x[0, :4]).real, x) == 5 * 4 * 2


def test_operations_of_loops():
    def f(x):
        return xnp.scan(lambda c, t: (c * t + 1, None), x[0], x)[0]

    assert counted(f, numpy.ones((10, 3))) == 10 * 6


def test_bytes_are_counted_once_for_each_array_and_kernel():
    found = inspected()
    first, second = found.clusters
    assert first.bytes == 8 * (15 + 20 + 12)
    assert second.bytes == 8 * (12 + 12)
    assert first.operations == 2 * 3 * 5 * 4
    assert second.operations == 12 * 6
    assert (found.bytes, found.operations) == (
        first.bytes + second.bytes,
        first.operations + second.operations,
    )


def test_what_no_other_kernel_reads_is_not_moved():
    program = optimize(program_of(lambda x: xnp.sin(x[::-1]) * 2, (numpy.ones(4),)))
    (kernel,) = kernels(program, [("k", "loop nest", program.equations)])
    assert kernel.bytes == 64
    sine = [e for e in program.equations if e.primitive.name != "multiply"]
    split = kernels(program, [("a", "", sine), ("b", "", program.equations[-1:])])
    assert [k.bytes for k in split] == [64, 64]


def test_updates_in_place_move_what_they_write():
    def f(x):
        x = xnp.sin(x)
        x[1:3] = 0.5
        return x

    program = optimize(program_of(f, (numpy.ones(100),)))
    groups = [(e.primitive.name, "", [e]) for e in program.equations]
    assert [k.bytes for k in kernels(program, groups)] == [1600, 16]


def test_units():
    assert [in_units(n, "B") for n in (0, 999, 1000, 12345, 999_600, 10**9)] == [
        "0 B",
        "999 B",
        "1 kB",
        "12.3 kB",
        "1 MB",
        "1 GB",
    ]


# -- pictures and pages --


def test_graph():
    text = inspected('a "name"').graph()
    assert text.startswith('digraph "a \\"name\\"" {')
    assert 'p0 -> k0 [label="a:f64[3,5]"];' in text
    assert 'k0 -> k1 [label="c:f64[3,4]"];' in text
    assert "tanh c\\l" in text
    assert "return k:f64[3,4]" in text


def test_a_picture_without_graphviz(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    found = inspected("a<b>&")
    root = ElementTree.fromstring(found.svg())
    texts = [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "kernel 0  (library call)" in texts
    assert "d:f64[3,4] = tanh c" in texts
    with pytest.raises(RuntimeError, match="apt install graphviz"):
        found.png()


def test_boxes_do_not_overlap():
    root = ElementTree.fromstring(svg_text(inspected()._graph))
    boxes = [
        [float(e.get(name)) for name in ("x", "y", "width", "height")]
        for e in root.iter("{http://www.w3.org/2000/svg}rect")
    ]
    assert len(boxes) == 5
    for i, (x, y, width, height) in enumerate(boxes):
        for u, v, other_width, other_height in boxes[:i]:
            apart = (
                x + width <= u or u + other_width <= x or y + height <= v or v + other_height <= y
            )
            assert apart


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs graphviz")
def test_pictures_by_graphviz():
    found = inspected()
    assert "<svg" in found.svg()
    assert found.png().startswith(b"\x89PNG")


def test_a_large_picture():
    def f(x):
        for _ in range(40):
            x = xnp.sin(x) * 0.5
        return x

    program = optimize(program_of(f, (numpy.ones(3),)))
    groups = [(f"k{i}", "loop nest", program.equations[i : i + 20]) for i in range(0, 80, 20)]
    found = Inspection(program, program, kernels(program, groups))
    assert "… 9 more" in found.graph()
    ElementTree.fromstring(svg_text(found._graph))


def test_the_page_holds_everything_escaped():
    found = inspected("a<b>", mlir="module { <x> }", llvm=lambda: "define & ret", assembly="ret")
    page = found.html()
    assert page.startswith("<!doctype html>")
    for text in ("a&lt;b&gt;", "module { &lt;x&gt; }", "define &amp; ret", "kernel 1", "192 op"):
        assert text in page
    assert "a<b>" not in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert found._repr_html_() in page


def test_code_is_made_when_asked_for():
    made = []
    found = inspected(llvm=lambda: made.append(1) or "define")
    assert not made
    assert found.llvm == found.llvm == "define"
    assert made == [1]
    assert found.mlir == ""


def test_text():
    found = inspected()
    text = str(found)
    assert text.startswith("softmax(a:f64[3,5], b:f64[5,4]) {\n  c:f64[3,4] = matmul a b\n")
    assert text.splitlines()[-4:] == [
        "kernel    kind          equations  bytes  operations",
        "kernel 0  library call          1  376 B      120 op",
        "kernel 1  loop nest             8  192 B       72 op",
        "total                              568 B      192 op",
    ]
    assert repr(found) == "<Inspection of softmax: 2 kernels, 568 B, 192 op>"


def test_what_jit_compiles():
    f = xnp.jit(softmax)
    found = f.inspect(numpy.ones((3, 5)), numpy.ones((5, 4)))
    assert found.clusters[0].kind in ("operation", "NumPy")
    assert sum(len(k.equations) for k in found.clusters) >= 6
    assert found.operations == 120 + 12 * 6
    assert "matmul a b" in found.html()


@pytest.mark.skipif(not is_available(), reason="there is no compiler")
def test_what_modules_share_is_shown_whole():
    """Functions that are compiled once for all modules: their code, and that of what they call."""
    f = lambda x: xnp.sin(x) + xnp.sin(2 * x) + xnp.exp(x) * xnp.exp(-x)
    shown = xnp.jit(f).inspect(numpy.ones(1000))
    for name in ("sin", "exp"):
        (defined,) = [x for x in shown.mlir.splitlines() if f"func private @xnp_{name}_f64" in x]
        assert defined.endswith("{")
        assert f"xnp_{name}_f64" in shown.assembly
    assert "xnp_reduce_huge" in shown.assembly  # the rare part of sin


def test_what_writes_into_arrays():
    def f(x):
        x = xnp.sin(x)
        x[0] = 1.0
        return xnp.sort(x)

    found = xnp.jit(f).inspect(numpy.ones(4))
    equations = [e.primitive.name for k in found.clusters for e in k.equations]
    assert "setitem" in equations
    graph = found.graph()
    assert graph.count("->") >= 3


class Scale:
    def __init__(self, by):
        self.by = by

    @xnp.jit
    def apply(self, x):
        return x * self.by


def test_methods():
    assert Scale(3.0).apply.inspect(numpy.ones(2)).operations == 2


# -- the debug ladder --


def test_levels(capsys):
    show(1, "title", "never")
    with debug(2):
        assert debug_level() == 2
        show(1, "compiled f", "12 ms")
        show(2, "Program", lambda: "two\nlines\n")
        show(3, "more", lambda: pytest.fail("made though nobody looks"))
        with debug(0):
            show(1, "title", "never")
        assert debug_level() == 2
    assert debug_level() == 0
    out, err = capsys.readouterr()
    assert not out
    assert err == "xnp: compiled f: 12 ms\nxnp: Program:\n    two\n    lines\n"


def test_the_decorator_is_for_every_call(capsys):
    @debug(1)
    def f(x):
        show(1, "f", str(x))
        return x + 1 if x > 1 else f(x + 1)

    assert f(1) == f(2) == 3
    assert capsys.readouterr().err == "xnp: f: 1\nxnp: f: 2\nxnp: f: 2\n"
    assert debug_level() == 0


def test_the_variable(monkeypatch):
    monkeypatch.setenv("XNP_DEBUG", "3")
    assert debug_level() == 3
    with debug(1):
        assert debug_level() == 1
    for text, level in [(" 2 ", 2), ("", 0), (" ", 0)]:
        monkeypatch.setenv("XNP_DEBUG", text)
        assert debug_level() == level
    for wrong in ("loud", "5", "-1", "9" * 5000):
        monkeypatch.setenv("XNP_DEBUG", wrong)
        with pytest.raises(ValueError, match=r"XNP_DEBUG is .{1,60}, wanted an int from 0"):
            debug_level()


@pytest.mark.parametrize("wrong", [5, -1, 1.0, "1", None])
def test_wrong_levels(wrong):
    with pytest.raises(ValueError, match=r"debug\(level\) is"), debug(wrong):
        pass


def test_passes_are_shown(capsys):
    assert pass_hook("f") is None
    with debug(3):
        optimize(program_of(lambda x: x * 1 + x, (numpy.ones(3),)), pass_hook("f"))
    assert capsys.readouterr().err.startswith("xnp: f after simplify:\n    lambda(a:f64[3]) {\n")


def test_all_steps(capsys):
    f = xnp.jit(lambda x: xnp.sin(x) * 2)
    with debug(4):
        f(numpy.ones(3))
    err = capsys.readouterr().err
    titles = ["recorded <lambda>: ", "Program of <lambda>:\n"]
    if is_available():
        titles += ["clusters of", "MLIR of", "LLVM IR of", "assembly of", "compiled <lambda>: in"]
    assert all(f"xnp: {title}" in err for title in titles)
    f(numpy.ones(3))
    assert not capsys.readouterr().err
    f.clear_cache()
    with debug(4):  # what is kept on disk has no stages to show
        f(numpy.ones(3))
    again = capsys.readouterr().err
    assert all(f"xnp: {title}" in again for title in titles)
