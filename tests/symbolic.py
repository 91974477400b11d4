"""Recording with symbolic sizes: every dimension of 2 or more is a symbol of its own."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy

from xnp.autodiff import trees
from xnp.autodiff.core import Aval, aval_of
from xnp.autodiff.dims import Dim
from xnp.autodiff.handles import ARRAY0D, RESULT, WEAK, TracedArray, wrap
from xnp.autodiff.program import Program
from xnp.autodiff.recording import ProgramTrace
from xnp.autodiff.scopes import Scope
from xnp.testing.vectors import leaves_of, map_leaves


class Recorded(NamedTuple):
    """A function as a Program for sizes that its guards allow."""

    program: Program
    scope: Scope
    kinds: list[Any]  # of the results, the handles' kinds; None for what is not traced
    plain: list[Any]
    rebuild: Callable[[list[Any]], Any]

    def sizes_of(self, args: Sequence[Any]) -> dict[str, int]:
        leaves = [leaf for arg in args for leaf in leaves_of(arg)]
        return {symbol.name: size for symbol, size in self.program._sizes(leaves).items()}

    def __call__(self, *args: Any) -> Any:
        found = iter(self.program(*[leaf for arg in args for leaf in leaves_of(arg)]))
        return self.rebuild(
            [
                plain if kind is None else as_numpys(next(found), kind)
                for kind, plain in zip(self.kinds, self.plain, strict=True)
            ]
        )

    @property
    def fixed(self) -> set[str]:
        """The symbols that the guards give one size."""
        return {
            name
            for name, symbol in self.scope.symbols.items()
            if symbol.equal is not None and not any(symbol.equal)
        }

    def other_sizes(self) -> Iterator[dict[str, int]]:
        """Larger sizes that the guards allow, of all symbols together and of each on its own with
        those it equals.
        """
        hints = {name: symbol.hint for name, symbol in self.scope.symbols.items()}
        grown: list[set[str]] = [set(hints) - self.fixed]
        for name in sorted(grown[0]):
            grown.append(self._equal_to(name))
        seen: list[set[str]] = []
        for names in grown:
            sizes = {name: hints[name] + (name in names) for name in hints}
            twice = {name: hints[name] * (2 if name in names else 1) for name in hints}
            if names and names not in seen:
                yield from [s for s in (sizes, twice) if self.scope.holds(s)]
                seen.append(names)

    def _equal_to(self, name: str) -> set[str]:
        found = {name}
        for _ in self.scope.symbols:
            for guard in self.scope.guards:
                names = {symbol.name for symbol in guard.dim.symbols()}
                if guard.relation == "==" and names & found:
                    found |= names
        return found - self.fixed


def as_numpys(x: Any, kind: int) -> Any:
    """What NumPy would return in the place of a handle of this kind."""
    if kind == ARRAY0D:
        return numpy.asarray(x)
    return x[()] if isinstance(x, numpy.ndarray) else x


def record(fun: Callable[..., Any], args: Sequence[Any], lower: int = 2) -> Recorded:
    """``fun`` on arrays, and trees of them, of symbolic sizes, with those of ``args`` as hints."""
    scope = Scope()

    def symbolic(leaf: Any) -> TracedArray:
        shape, dtype, weak = aval_of(leaf)
        dims = [
            size if size < lower else scope.symbol(f"n{len(scope.symbols)}", size, lower)
            for size in shape
        ]
        kind = RESULT if isinstance(leaf, numpy.generic) else ARRAY0D
        kind = kind if isinstance(leaf, (numpy.ndarray, numpy.generic)) else WEAK
        return wrap(trace.parameter(Aval(tuple(dims), dtype, weak)), kind)

    with ProgramTrace() as trace:
        given = [map_leaves(symbolic, arg) for arg in args]
        outputs, unflatten = trees.flatten(fun(*given))
        outputs = [out.traced() if type(out) is Dim else out for out in outputs]
        handles = [out for out in outputs if type(out) is TracedArray]
        program = trace.program([out.value for out in handles], "symbolic")
    scope.close()
    kinds = [out._kind if type(out) is TracedArray else None for out in outputs]
    return Recorded(program, scope, kinds, outputs, lambda leaves: trees.rebuild(unflatten, leaves))


def grown(x: Any, shape: Sequence[int]) -> Any:
    """An array like ``x`` of another shape: further elements lie between those of x."""
    rng = numpy.random.default_rng(0)
    flat = numpy.ravel(x)
    out = numpy.resize(x, shape)
    if out.dtype.kind in "fc" and flat.size:
        a, b = rng.choice(flat, out.size), rng.choice(flat, out.size)
        share = rng.uniform(size=out.size)
        out = (a * share + b * (1 - share)).astype(out.dtype).reshape(shape)
    place = tuple(map(slice, numpy.shape(x)))
    out[place] = numpy.asarray(x)[tuple(map(slice, shape))]
    return out
