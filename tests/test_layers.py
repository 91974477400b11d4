"""The package's layers: imports point one way, third parties are fenced in, nothing is cyclic.

The modules are parsed, not imported. An import counts wherever it stands: at the top, in a
function, under TYPE_CHECKING, or as `importlib.import_module("…")`.
"""

import ast
import configparser
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "xnp"

# What each layer may import besides itself. `__init__` is the root's __init__.py.
LAYERS = {
    "autodiff": set(),
    "numpy_api": {"autodiff"},
    "codegen": {"autodiff"},
    "runtime": {"codegen", "autodiff"},
    "testing": {"__init__", "runtime", "codegen", "numpy_api", "autodiff"},
    "__init__": {"runtime", "codegen", "numpy_api", "autodiff"},
}
# Which files may import which third party. A file named without a `*` must really import it.
FENCES = {
    "numpy": ["*"],
    "optree": ["autodiff/trees.py"],
    # libraries.py: SciPy's BLAS and LAPACK, where NumPy's own exports none.
    "scipy": ["numpy_api/special.py", "runtime/libraries.py"],
    "mlir": ["codegen/*", "runtime/*"],
    "llvmlite": ["codegen/*", "runtime/*"],
    "cupy": ["runtime/*cuda*"],
    "cupy_backends": ["runtime/*cuda*"],
    "pypjrt": ["runtime/*pjrt*"],
    "libtpu": ["runtime/*pjrt*"],
    "mpi4py": ["runtime/*mpi*"],
    "hypothesis": ["testing/*"],
    "pytest": ["testing/*"],
}

# Which files may change how modules are found: xnp.linalg is numpy.linalg, and xnp.polynomial is
# numpy.polynomial's code on our namespace.
FINDERS = {"numpy_api/polynomial_series.py", "numpy_api/submodules.py"}


class Import(NamedTuple):
    file: str  # relative to the root
    line: int
    target: str  # `numpy.linalg`, or in the package `xnp.autodiff.core`
    relative: bool
    in_function: bool
    by_call: bool  # import_module or __import__

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.target}"

    @property
    def top(self) -> str:
        return self.target.partition(".")[0]

    @property
    def is_ours(self) -> bool:
        return self.top == PACKAGE


@cache
def package_files() -> dict[str, Path]:
    """All modules of the package: dotted name -> file."""
    files = [ROOT / "__init__.py"]
    for layer in LAYERS.keys() - {"__init__"}:
        files += (ROOT / layer).rglob("*.py")
    return {module_name(file): file for file in sorted(files) if file.exists()}


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join((PACKAGE, *parts)).removesuffix(".__init__")


def layer_of(module: str) -> str:
    """`xnp.autodiff.core` -> `autodiff`; a name that the root itself holds -> `__init__`."""
    name = module.split(".")[1] if "." in module else "__init__"
    return name if name in LAYERS else "__init__"


def imports_in(module: str, source: str, file: str) -> Iterator[Import]:
    """Every import statement and import call of a module."""
    package = module if file.endswith("__init__.py") else module.rpartition(".")[0]
    for node, in_function in walk_with_scope(ast.parse(source)):
        for target, relative, by_call in targets_of(node, package):
            yield Import(file, node.lineno, target, relative, in_function, by_call)


def walk_with_scope(node: ast.AST, in_function: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        yield child, in_function
        opens = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from walk_with_scope(child, in_function or opens)


def targets_of(node: ast.AST, package: str) -> Iterator[tuple[str, bool, bool]]:
    """(absolute name, written relative?, by a call?) of what a node imports."""
    match node:
        case ast.Import():
            for alias in node.names:
                yield alias.name, False, False
        case ast.ImportFrom():
            base = absolute(node.level, node.module or "", package)
            for alias in node.names:
                yield f"{base}.{alias.name}", node.level > 0, False
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[argument, *_]):
            if name in ("import_module", "__import__"):
                literal = argument.value if isinstance(argument, ast.Constant) else "<computed>"
                bare = literal.lstrip(".")
                level = len(literal) - len(bare)
                yield absolute(level, bare, package), level > 0, True


def absolute(level: int, name: str, package: str) -> str:
    if level == 0:
        return name
    base = package.split(".")[: len(package.split(".")) - level + 1]
    return ".".join([*base, name] if name else base)


@cache
def all_imports() -> list[Import]:
    return [
        found
        for module, path in package_files().items()
        for found in imports_in(module, path.read_text(), path.relative_to(ROOT).as_posix())
    ]


def module_of(target: str) -> str:
    """The module that a name of ours lies in: `xnp.autodiff.core.bind` -> `xnp.autodiff.core`."""
    while target not in package_files() and "." in target:
        target = target.rpartition(".")[0]
    return target


def wrong_direction(found: Import) -> bool:
    source = layer_of(module_name(ROOT / found.file))
    target = layer_of(found.target)
    return target not in LAYERS[source] | {source}


def fenced_out(found: Import) -> bool:
    return not any(fnmatch(found.file, pattern) for pattern in FENCES.get(found.top, []))


def is_third_party(found: Import) -> bool:
    if found.file == "__init__.py" and found.target == "<computed>":
        return False  # what `_LAZY` lists, on first use
    return not found.is_ours and found.top not in sys.stdlib_module_names


def listing(imports: list[Import]) -> str:
    return "\n" + "\n".join(map(str, imports))


def test_imports_point_one_way():
    wrong = [found for found in all_imports() if found.is_ours and wrong_direction(found)]
    assert not wrong, listing(wrong)


def test_own_imports_are_relative_and_at_the_top():
    """Calls are the root's lazy loading; `wrong_direction` judges them."""
    wrong = [
        found
        for found in all_imports()
        if found.is_ours
        and not (found.by_call and found.file == "__init__.py")
        and (found.in_function or not found.relative)
    ]
    assert not wrong, listing(wrong)


def test_third_parties_stay_in_their_files():
    wrong = [found for found in all_imports() if is_third_party(found) and fenced_out(found)]
    assert not wrong, listing(wrong)


def test_no_file_has_a_fence_it_does_not_use():
    used = {(found.top, found.file) for found in all_imports()}
    named = {(top, file) for top, files in FENCES.items() for file in files if "*" not in file}
    assert not named - used


def test_only_two_files_change_how_modules_are_found():
    machinery = ("importlib.machinery", "importlib.util", "importlib.abc", "pkgutil")
    assert {found.file for found in all_imports() if found.target.startswith(machinery)} == FINDERS


def test_no_module_cycle():
    graph = {
        module: {
            module_of(found.target)
            for found in all_imports()
            if found.is_ours and not found.by_call and found.file == file
        }
        - {module}
        for module, path in package_files().items()
        for file in [path.relative_to(ROOT).as_posix()]
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(" <- ".join(error.args[1])) from None


def test_setup_cfg_names_every_package():
    """Both ways: a folder left out is missing from the wheel, a name without a folder stops it."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    named = config["options"]["packages"].split()
    folders = [name for name, path in package_files().items() if path.name == "__init__.py"]
    assert sorted(named) == sorted(folders)
    unlisted = {module.rpartition(".")[0] for module in package_files()} - {"", *folders}
    assert not unlisted, "folders with modules but no __init__.py"


def test_the_root_holds_no_other_module():
    """They would be installed as xnp.<name>, and are in no layer; setup.py leaves itself out."""
    assert {path.name for path in ROOT.glob("*.py")} <= {"__init__.py", "setup.py"}


def test_the_checks_see_every_form_of_import():
    source = """
import numpy.linalg
from . import core
from ..numpy_api.fft import fft
if TYPE_CHECKING:
    from ..runtime import jit
def f():
    import scipy.special
    importlib.import_module("..testing", __package__)
"""
    found = [
        (one.target, one.relative, one.in_function, one.by_call)
        for one in imports_in("xnp.autodiff.tape", source, "autodiff/tape.py")
    ]
    assert found == [
        ("numpy.linalg", False, False, False),
        ("xnp.autodiff.core", True, False, False),
        ("xnp.numpy_api.fft.fft", True, False, False),
        ("xnp.runtime.jit", True, False, False),
        ("scipy.special", False, True, False),
        ("xnp.testing", True, True, True),
    ]
