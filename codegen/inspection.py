"""What became of a function: Programs, kernels and their costs, pictures, and the code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

from ..autodiff.program import Names, Program
from .counts import Kernel
from .drawing import Graph, dot_text, graph_of, in_units, svg_text
from .inspection_page import Section, fragment, page

Text = str | Callable[[], str]

INSTALL_GRAPHVIZ = (
    "needs graphviz's program `dot`, which is not on the PATH; install it with `apt install "
    "graphviz`, `brew install graphviz` or `conda install graphviz`. `.svg()` and `.html()` draw "
    "without it, `.graph()` gives the text to draw elsewhere."
)


class Inspection:
    """What `jit` makes of a function for arguments of some types; see ``jit(f).inspect(*args)``.

    ``program`` is what was recorded, ``optimized`` what code is generated for, ``clusters`` its
    kernels with what they cost; ``mlir``, ``llvm`` and ``assembly`` are text. Printing it shows the
    Program and a table of the kernels, a notebook shows `html`.

    >>> import xnp
    >>> found = xnp.jit(lambda x: xnp.sin(x) * 2).inspect(xnp.ones(3))
    >>> found.operations, found.bytes
    (6, 48)
    """

    def __init__(
        self,
        program: Program,
        optimized: Program,
        clusters: Sequence[Kernel],
        mlir: Text = "",
        llvm: Text = "",
        assembly: Text = "",
    ) -> None:
        self.program, self.optimized = program, optimized
        self.clusters = list(clusters)
        self._code: dict[str, Text] = {"mlir": mlir, "llvm": llvm, "assembly": assembly}

    def _text(self, name: str) -> str:
        text = self._code[name]
        if not isinstance(text, str):
            text = self._code[name] = text()
        return text

    @property
    def mlir(self) -> str:
        """The MLIR module that code was generated as."""
        return self._text("mlir")

    @property
    def llvm(self) -> str:
        """The optimised LLVM IR."""
        return self._text("llvm")

    @property
    def assembly(self) -> str:
        """The machine's instructions."""
        return self._text("assembly")

    @property
    def bytes(self) -> int:
        """What all kernels load and store, each array that a kernel reads counted once."""
        return sum(kernel.bytes for kernel in self.clusters)

    @property
    def operations(self) -> int:
        """The operations on numbers of all kernels: one for each element of an elementwise result,
        however hard it is to compute; 2mnk for a matrix product; n for a reduction.
        """
        return sum(kernel.operations for kernel in self.clusters)

    @cached_property
    def _names(self) -> Names:
        """The letters that `optimized` is printed with."""
        names = Names()
        names.program(self.optimized)
        return names

    @cached_property
    def _graph(self) -> Graph:
        return graph_of(self.optimized, self.clusters, self._names)

    def graph(self) -> str:
        """The kernels as boxes, the arrays between them as arrows, in graphviz's language DOT."""
        return dot_text(self._graph)

    def svg(self) -> str:
        """The picture of `graph` as SVG text: by graphviz if it is installed, else by a simpler
        layout of our own.
        """
        return self._drawn("svg").decode() if _has_graphviz() else svg_text(self._graph)

    def png(self) -> bytes:
        """The picture of `graph` as a PNG file's bytes. Raises RuntimeError without graphviz."""
        if not _has_graphviz():
            raise RuntimeError(f"Inspection.png {INSTALL_GRAPHVIZ}")
        return self._drawn("png")

    def _drawn(self, form: str) -> bytes:
        import subprocess  # as shutil below: a tenth of what `import xnp` costs

        done = subprocess.run(
            ["dot", f"-T{form}"], input=self.graph().encode(), capture_output=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"graphviz could not draw the graph: {done.stderr.decode()}")
        return done.stdout

    def html(self) -> str:
        """One page that needs nothing else: picture, kernels, Programs, code."""
        return page(f"xnp: {self.program.name}", self._repr_html_())

    def _repr_html_(self) -> str:
        """What notebooks show."""
        sections = [
            Section("Program as recorded", str(self.program)),
            Section("Program as compiled", str(self.optimized), is_open=True),
            Section("MLIR", self.mlir),
            Section("LLVM IR", self.llvm),
            Section("Assembly", self.assembly),
        ]
        svg = self.svg()
        picture = svg[svg.index("<svg") :]  # without the declaration that graphviz puts before it
        return fragment(self.program.name, picture, self.clusters, self._names, sections)

    def __str__(self) -> str:
        rows = [
            (
                k.name,
                k.kind,
                str(len(k.equations)),
                in_units(k.bytes, "B"),
                in_units(k.operations, "op"),
            )
            for k in self.clusters
        ]
        totals = ("total", "", "", in_units(self.bytes, "B"), in_units(self.operations, "op"))
        table = _table([("kernel", "kind", "equations", "bytes", "operations"), *rows, totals])
        return f"{self.optimized}\n\n{table}"

    def __repr__(self) -> str:
        return (
            f"<Inspection of {self.program.name}: {len(self.clusters)} kernels, "
            f"{in_units(self.bytes, 'B')}, {in_units(self.operations, 'op')}>"
        )


def _has_graphviz() -> bool:
    import shutil

    return shutil.which("dot") is not None


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Columns, the first two to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
