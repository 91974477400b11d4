"""Pictures of a Program's kernels, boxes and arrows: as text for graphviz, or as an SVG of our own.

The layout is the simple layered one: each box a row below all that it reads from, ordered within
its row by the mean position of what it reads from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..autodiff.program import Atom, Equation, Names, Program, Variable
from .counts import Kernel, seen_through, views_of

MOST_LINES = 12  # of a box

COLOURS = {"edge": "#666666", "given": "#e8f0e8", "kernel": "#eef2fb", "text": "#222222"}


class Box(NamedTuple):
    """``lines`` of text under a title; ``shape`` is "given" for parameters and results."""

    name: str
    title: str
    lines: tuple[str, ...]
    shape: str = "kernel"


class Arrow(NamedTuple):
    source: str
    target: str
    label: str


class Graph(NamedTuple):
    title: str
    boxes: list[Box]
    arrows: list[Arrow]


def graph_of(program: Program, kernels: Sequence[Kernel], names: Names) -> Graph:
    """A box for each parameter, kernel and result, and an arrow for each array between them."""
    views = views_of(program)
    owner: dict[Atom, str] = {}
    boxes = []
    for v in program.parameters:
        owner[v] = f"p{len(boxes)}"
        boxes.append(Box(owner[v], names.typed(v), (), "given"))
    for number, kernel in enumerate(kernels):
        box = f"k{number}"
        owner.update((v, box) for e in kernel.equations for v in e.results)
        boxes.append(Box(box, f"{kernel.name}  ({kernel.kind})", _lines(kernel, names)))
    arrows: dict[Arrow, None] = {}
    for number, kernel in enumerate(kernels):
        for x in (x for e in kernel.equations for x in e.inputs):
            _connect(arrows, seen_through(x, views), f"k{number}", owner, names)
    for number, x in enumerate(program.results):
        title = names.typed(x) if type(x) is Variable else names[x]
        boxes.append(Box(f"r{number}", f"return {title}", (), "given"))
        _connect(arrows, seen_through(x, views), f"r{number}", owner, names)
    return Graph(program.name, boxes, list(arrows))


def _connect(
    arrows: dict[Arrow, None], x: Atom, target: str, owner: Mapping[Atom, str], names: Names
) -> None:
    source = owner.get(x)
    if source is not None and source != target and type(x) is Variable:
        arrows[Arrow(source, target, names.typed(x))] = None


def _lines(kernel: Kernel, names: Names) -> tuple[str, ...]:
    shown: Sequence[Equation] = kernel.equations
    if len(shown) > MOST_LINES:
        shown = shown[: MOST_LINES - 1]
    lines = [_clipped(names.equation(e)) for e in shown]
    if len(shown) < len(kernel.equations):
        lines.append(f"… {len(kernel.equations) - len(shown)} more")
    return (*lines, costs_text(kernel))


def _clipped(text: str, width: int = 76) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def costs_text(kernel: Kernel) -> str:
    return f"{in_units(kernel.bytes, 'B')} moved, {in_units(kernel.operations, 'op')}"


def in_units(n: int, unit: str) -> str:
    """``12.3 MB``."""
    if n < 1000:
        return f"{n} {unit}"
    value, prefixes = float(n), iter("kMGTPE")
    prefix = ""
    while value >= 999.5:
        value, prefix = value / 1000, next(prefixes)
    return f"{value:.3g} {prefix}{unit}"


def escape(text: str) -> str:
    """Text in HTML and XML. The standard library's own loads all names of characters."""
    for character, name in ("&", "amp"), ("<", "lt"), (">", "gt"), ('"', "quot"):
        text = text.replace(character, f"&{name};")
    return text


def dot_text(graph: Graph) -> str:
    """The graph in graphviz's language."""
    lines = [
        f"digraph {_quoted(graph.title)} {{",
        '  node [shape=box, style=filled, fontname="monospace", fontsize=10];',
        '  edge [fontname="monospace", fontsize=9, color="#666666"];',
    ]
    for box in graph.boxes:
        style = 'style="rounded,filled"' if box.shape == "given" else "style=filled"
        text = "".join(_escaped(line) + "\\l" for line in (box.title, *box.lines))
        label = text if box.lines else _escaped(box.title)
        colour = COLOURS[box.shape]
        lines.append(f'  {box.name} [label="{label}", {style}, fillcolor="{colour}"];')
    for arrow in graph.arrows:
        lines.append(f"  {arrow.source} -> {arrow.target} [label={_quoted(arrow.label)}];")
    return "\n".join([*lines, "}"]) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


# -- an SVG without graphviz --

CHARACTER, LINE, PADDING, GAP, DESCENT = 6.7, 15, 8, 24, 56  # pixels


class _Placed(NamedTuple):
    box: Box
    x: float
    y: float
    width: float
    height: float


def svg_text(graph: Graph) -> str:
    """The graph as an SVG picture."""
    placed = _layout(graph)
    width = max((p.x + p.width for p in placed.values()), default=0) + GAP
    height = max((p.y + p.height for p in placed.values()), default=0) + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" font-family="monospace" font-size="11">',
        f"<title>{escape(graph.title)}</title>",
        '<defs><marker id="xnp-tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="{COLOURS["edge"]}"/>'
        "</marker></defs>",
    ]
    parts += [_drawn_arrow(a, placed[a.source], placed[a.target]) for a in graph.arrows]
    parts += map(_drawn_box, placed.values())
    return "\n".join([*parts, "</svg>"])


def _layout(graph: Graph) -> dict[str, _Placed]:
    sources: dict[str, list[str]] = {box.name: [] for box in graph.boxes}
    for arrow in graph.arrows:
        sources[arrow.target].append(arrow.source)
    rows = _rows(graph, sources)
    placed: dict[str, _Placed] = {}
    total = max((sum(_width(b) + GAP for b in row) for row in rows), default=0.0)
    y = float(GAP)
    for row in rows:
        row.sort(key=lambda box: _mean([_middle(placed[s]) for s in sources[box.name]], total / 2))
        x = (total - sum(_width(b) + GAP for b in row)) / 2 + GAP
        for box in row:
            placed[box.name] = _Placed(box, x, y, _width(box), _height(box))
            x += _width(box) + GAP
        y += max(map(_height, row)) + DESCENT
    return placed


def _rows(graph: Graph, sources: Mapping[str, Sequence[str]]) -> list[list[Box]]:
    """Each box in the row after the last one that it reads from; boxes come in order."""
    depth: dict[str, int] = {}
    rows: list[list[Box]] = []
    for box in graph.boxes:
        depth[box.name] = max((depth[s] + 1 for s in sources[box.name]), default=0)
        while len(rows) <= depth[box.name]:
            rows.append([])
        rows[depth[box.name]].append(box)
    return rows


def _mean(numbers: Sequence[float], default: float) -> float:
    return sum(numbers) / len(numbers) if numbers else default


def _middle(p: _Placed) -> float:
    return p.x + p.width / 2


def _width(box: Box) -> float:
    return max(map(len, (box.title, *box.lines))) * CHARACTER + 2 * PADDING


def _height(box: Box) -> float:
    return (1 + len(box.lines)) * LINE + 2 * PADDING


def _drawn_box(p: _Placed) -> str:
    radius = 10 if p.box.shape == "given" else 2
    parts = [
        f'<rect x="{p.x:.1f}" y="{p.y:.1f}" width="{p.width:.1f}" height="{p.height:.1f}" '
        f'rx="{radius}" fill="{COLOURS[p.box.shape]}" stroke="#999999"/>'
    ]
    for number, line in enumerate((p.box.title, *p.box.lines)):
        y = p.y + PADDING + LINE * (number + 0.75)
        weight = ' font-weight="bold"' if number == 0 and p.box.lines else ""
        parts.append(
            f'<text x="{p.x + PADDING:.1f}" y="{y:.1f}" fill="{COLOURS["text"]}"{weight} '
            f'xml:space="preserve">{escape(line)}</text>'
        )
    return "".join(parts)


def _drawn_arrow(arrow: Arrow, source: _Placed, target: _Placed) -> str:
    x1, y1 = _middle(source), source.y + source.height
    x2, y2 = _middle(target), target.y
    bend = (y2 - y1) / 2
    path = f"M{x1:.1f} {y1:.1f}C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2:.1f}"
    return (
        f'<path d="{path}" fill="none" stroke="{COLOURS["edge"]}" marker-end="url(#xnp-tip)">'
        f"<title>{escape(arrow.label)}</title></path>"
        f'<text x="{(x1 + x2) / 2 + 4:.1f}" y="{(y1 + y2) / 2:.1f}" fill="{COLOURS["edge"]}" '
        f'font-size="9">{escape(arrow.label)}</text>'
    )
