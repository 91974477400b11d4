"""The page that shows an `Inspection`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..autodiff.program import Names
from .counts import Kernel
from .drawing import escape, in_units

STYLE = """
.xnp-inspection { font: 14px/1.4 sans-serif; color: #222; background: #fff; padding: 4px; }
.xnp-inspection pre { font-size: 12px; background: #f6f6f6; padding: 8px; overflow-x: auto;
  max-height: 40em; color: #222; }
.xnp-inspection table { border-collapse: collapse; margin: 8px 0; }
.xnp-inspection th, .xnp-inspection td { padding: 2px 12px 2px 0; text-align: right; }
.xnp-inspection th:nth-child(-n+2), .xnp-inspection td:nth-child(-n+2) { text-align: left; }
.xnp-inspection td { vertical-align: top; border-top: 1px solid #ddd; }
.xnp-inspection summary { cursor: pointer; font-weight: bold; }
.xnp-inspection .picture { overflow: auto; max-height: 60em; }
"""


class Section(NamedTuple):
    title: str
    text: str
    is_open: bool = False


def page(title: str, body: str) -> str:
    """A whole HTML document."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title></head>\n<body>{body}</body></html>\n"
    )


def fragment(
    name: str, picture: str, kernels: Sequence[Kernel], names: Names, sections: Sequence[Section]
) -> str:
    """What a page, or a notebook's cell, holds; ``picture`` is an SVG element."""
    return "\n".join(
        [
            f'<div class="xnp-inspection"><style>{STYLE}</style>',
            f"<h3>{escape(name)}</h3>",
            f'<div class="picture">{picture}</div>',
            _table(kernels, names),
            *(_folded(section) for section in sections if section.text),
            "</div>",
        ]
    )


def _table(kernels: Sequence[Kernel], names: Names) -> str:
    head = "<tr><th>kernel</th><th>kind</th><th>bytes</th><th>operations</th></tr>"
    total = (sum(k.bytes for k in kernels), sum(k.operations for k in kernels))
    rows = [_row(kernel, names) for kernel in kernels]
    rows.append(
        f"<tr><td>total</td><td></td><td>{in_units(total[0], 'B')}</td>"
        f"<td>{in_units(total[1], 'op')}</td></tr>"
    )
    return f"<table>{head}{''.join(rows)}</table>"


def _row(kernel: Kernel, names: Names) -> str:
    equations = "\n".join(map(names.equation, kernel.equations))
    name = (
        f"<details><summary>{escape(kernel.name)}</summary><pre>{escape(equations)}</pre></details>"
    )
    return (
        f"<tr><td>{name}</td><td>{escape(kernel.kind)}</td>"
        f"<td>{in_units(kernel.bytes, 'B')}</td><td>{in_units(kernel.operations, 'op')}</td></tr>"
    )


def _folded(section: Section) -> str:
    state = " open" if section.is_open else ""
    return (
        f"<details{state}><summary>{escape(section.title)}</summary>"
        f"<pre>{escape(section.text)}</pre></details>"
    )
