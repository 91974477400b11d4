"""Examples in the tutorial, the README and every public docstring run and print what they say."""

import doctest
import inspect
import pathlib
import re
import textwrap

import numpy
import pytest

import xnp

ROOT = pathlib.Path(__file__).parents[1]
FLAGS = doctest.NORMALIZE_WHITESPACE
FENCE = re.compile(r"^( *)```python\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def python_blocks(path):
    """The Python blocks of a page, each with the number of its first line."""
    text = path.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, m.start(2)) + 1, textwrap.dedent(m[2])) for m in FENCE.finditer(text)
    ]


def run(test):
    """Runs a doctest; its report is the failure's text."""
    report = []
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    runner.run(test, out=report.append, clear_globs=False)
    assert not runner.failures, "".join(report)
    return runner.tries


def test_tutorial():
    """One session from the first line to the last."""
    path = ROOT / "docs" / "tutorial.md"
    parser = doctest.DocTestParser()
    session = {}
    for line, block in python_blocks(path):
        assert block.startswith(">>> "), f"tutorial.md:{line}: a block without examples"
        test = parser.get_doctest(block, session, path.name, str(path), line - 1)
        assert run(test)
        session = test.globs


def test_readme(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # one of the programs writes a picture
    monkeypatch.setenv("MPLBACKEND", "Agg")
    blocks = python_blocks(ROOT / "README.md")
    assert len(blocks) == 3
    results = []
    for _, block in blocks:
        session = {}
        exec(compile(block, "README.md", "exec"), session)
        results.append(session)
    assert (tmp_path / "third_derivative.png").exists()
    numpy.testing.assert_allclose(results[2]["x"], numpy.ones(3), rtol=1e-12)


def ours():
    """The public functions and classes that are defined in this package."""
    found = {}
    for name in sorted({*dir(xnp), *xnp.__all__}):
        found[name] = getattr(xnp, name, None)
    found |= {f"testing.{name}": getattr(xnp.testing, name) for name in xnp.testing.__all__}
    return {
        name: thing
        for name, thing in found.items()
        if not name.startswith("_")
        and (inspect.isfunction(thing) or inspect.isclass(thing))
        and thing.__module__.split(".")[0] == "xnp"
    }


@pytest.mark.parametrize("name", ours())
def test_docstring(name):
    thing = ours()[name]
    assert thing.__doc__, f"xnp.{name} has no docstring"
    numpys = getattr(numpy, name, None)
    if numpys is not None and thing.__doc__ == numpys.__doc__:
        return  # NumPy tests its own
    finder = doctest.DocTestFinder(recurse=False)
    for test in finder.find(thing, name, globs={}):
        run(test)


@pytest.mark.parametrize(
    "name",
    [
        *("derivative", "grad", "hessian", "hvp", "jacfwd", "jacobian", "jacrev", "jvp"),
        *("linearize", "stop_gradient", "value_and_grad", "vjp", "vmap"),
    ],
)
def test_transformations_have_examples(name):
    assert ">>>" in getattr(xnp, name).__doc__


def test_error_classes_show_a_broken_and_a_mended_program():
    for name, thing in ours().items():
        if inspect.isclass(thing) and issubclass(thing, Exception):
            assert "Broken:" in thing.__doc__, name
            assert "Mended:" in thing.__doc__, name


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md", "docs/internals.md"])
def test_links_lead_somewhere(page):
    text = re.sub(r"`[^`]*`", "`code`", (ROOT / page).read_text(encoding="utf-8"))
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"
