"""One compiled function: for one kind of arguments, in one environment."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..autodiff import boundary
from ..autodiff.calls import call_p
from ..autodiff.core import Tracer, Value, describe_type, shape_of, thread_state
from ..autodiff.dims import Dim, is_symbolic, numbers_for
from ..autodiff.errors import MutationError, user_line
from ..autodiff.handles import TracedArray
from ..autodiff.primitives.manipulation import transpose_p
from ..autodiff.scopes import Scope
from ..autodiff.size_structures import settled, substituted
from ..autodiff.views import set_shape
from . import traced
from .environment import Environment
from .executable import Executable, make_executable, run
from .explanation import Compile
from .held import Held
from .probes import whole_digest
from .signature import Call, Type
from .traced import ARGUMENT, COMPUTED, COPIED, SIZE, STATIC, Traced, Write

Sizes = Mapping[Any, int]
_NO_SIZES: Sizes = {}


class Entry:
    """What one recording of the function made. With a ``scope`` it serves all sizes of the symbols
    in ``types`` that the guards allow.
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        call: Call,
        environment: Environment,
        scope: Scope | None = None,
        types: Sequence[Type] | None = None,
    ) -> None:
        self.fun = fun
        self.held = Held(call.objects)
        self.environment = environment
        self.scope = scope
        self.types = call.types if types is None else types
        try:
            self.traced = Traced(fun, call, self.types, environment)
        finally:
            if scope is not None:
                scope.close()
        self.executable: Executable | None = None
        self.note = ""
        self.record: Compile | None = None
        self.draws = False  # random numbers, which were drawn while it was recorded
        self.ran = False
        self.is_fast = False  # known to the native call path
        self.arrays = [*environment.arrays, *self.traced.live]
        self.exact = [(x, whole_digest(x)) for x in self.traced.baked_arrays(environment)]

    def serves(self, call: Call) -> bool:
        """Whether the objects are the same, and nothing that was read has changed."""
        return (
            self.held.are(call.objects) and self.environment.unchanged() and self.reads_the_same()
        )

    def reads_the_same(self) -> bool:
        """Whether the large arrays are as they were, of which numbers have been recorded."""
        return all(whole_digest(x) == before for x, before in self.exact)

    def fits(self, call: Call) -> bool:
        """Whether the sizes are those that are fixed, and such as the guards allow."""
        if self.scope is None:
            return True
        fixed = all(
            type(dim) is Dim or dim == size
            for t, given in zip(self.types, call.types, strict=True)
            for dim, size in zip(t.shape, given.shape, strict=True)
        )
        return fixed and self.scope.holds(self.sizes(call))

    def is_for_any_size(self) -> bool:
        """Whether a size is left open: the guards do not fix all."""
        return self.scope is not None and any(is_symbolic(settled(t.shape)) for t in self.types)

    def sizes(self, call: Call) -> Sizes:
        """What the symbols are for this call, by name."""
        if self.scope is None:
            return _NO_SIZES
        found: dict[Any, int] = {}
        for t, given in zip(self.types, call.types, strict=True):
            for dim, size in zip(t.shape, given.shape, strict=True):
                if type(dim) is Dim and dim.symbol is not None:
                    found[dim.symbol.name] = size
        return found

    def run(self, call: Call) -> Any:
        if (self.draws and self.ran) or (self.traced.writes and self.overlaps(call)):
            return self.fun(*call.args, **call.kwargs)
        self.ran = True
        if thread_state.level or any(type(x) is TracedArray for x in call.leaves):
            return self.run_traced(call)
        if self.executable is None:
            strides = [None if t.converted else t.strides for t in self.types]
            start = time.perf_counter()
            self.executable = make_executable(self.traced.program, strides)
            if self.record is not None:
                self.record.milliseconds += (time.perf_counter() - start) * 1e3
        values = [
            in_memory_order(native(x), t) for x, t in zip(call.leaves, self.types, strict=True)
        ]
        found = run(self.executable, values)
        sizes = self.sizes(call)
        for write in self.traced.writes:
            write_array(call.leaves[write.leaf], write, found, sizes)
        roots = [traced.finished(found[root.output], root) for root in self.traced.roots]
        return self.results(call, roots, sizes)

    def run_traced(self, call: Call) -> Any:
        """Under a transformation: one operation on Values."""
        values = [
            in_memory_order(boundary.enter(native(x))[0], t)
            for x, t in zip(call.leaves, self.types, strict=True)
        ]
        recorded, sizes = self.traced, self.sizes(call)
        known = {"sizes": tuple(self._by_symbol(sizes).items())} if sizes else {}
        found = call_p(*values, *recorded.captures, program=recorded.program, **known)
        for write in recorded.writes:
            leaf = call.leaves[write.leaf]
            if type(leaf) is TracedArray:
                write_handle(leaf, write, found, sizes)
            else:
                write_array(leaf, write, found, sizes)
        roots = [traced.finished_handle(found[root.output], root) for root in recorded.roots]
        return self.results(call, roots, sizes)

    def sizes_by_symbol(self, call: Call) -> Sizes:
        """What the symbols are for this call."""
        sizes = self.sizes(call)
        return self._by_symbol(sizes) if sizes else _NO_SIZES

    def _by_symbol(self, sizes: Sizes) -> Sizes:
        assert self.scope is not None
        return {self.scope.symbols[name]: size for name, size in sizes.items()}

    def results(self, call: Call, roots: list[Any], sizes: Sizes) -> Any:
        """The tree that the function returns."""
        context = numbers_for(sizes) if sizes else contextlib.nullcontext()
        with context:
            leaves = [self.leaf(call, roots, sizes, *result) for result in self.traced.results]
        return self.traced.spec.fill(iter(leaves))

    def leaf(
        self, call: Call, roots: list[Any], sizes: Sizes, source: int, of: Any, steps: Any
    ) -> Any:
        if source == COMPUTED:
            leaf = roots[of]
        elif source == ARGUMENT:
            leaf = call.leaves[of]
        elif source == STATIC:
            leaf = call.objects[of]
        elif source == SIZE:
            leaf = substituted(of, sizes)
        else:
            leaf = of.copy("K") if source == COPIED else of
        return traced.seen_through(leaf, steps, sizes) if steps else leaf

    def overlaps(self, call: Call) -> bool:
        """Whether a write to an argument shows in something else that the function reads."""
        for write in self.traced.writes:
            written = call.leaves[write.leaf]
            others = [x for i, x in enumerate(call.leaves) if i != write.leaf]
            if type(written) is TracedArray:
                root = _root(written)
                if any(type(x) is TracedArray and _root(x) is root for x in others):
                    return True
                continue
            arrays = [x for x in others if isinstance(x, np.ndarray)]
            arrays += self.arrays
            if overlaps_itself(written) or any(np.may_share_memory(written, x) for x in arrays):
                return True
        return False


def _root(handle: TracedArray) -> TracedArray:
    return handle if handle._view is None else handle._view.root


def native(x: Any) -> Any:
    """An argument as Programs take it: a plain, aligned ndarray of native byte order."""
    if isinstance(x, np.ndarray):
        if not (x.dtype.isnative and x.flags.aligned):
            return np.array(x, x.dtype.newbyteorder("="), order="C", subok=False)
        return x if type(x) is np.ndarray else x.view(np.ndarray)
    if isinstance(x, np.generic) and not x.dtype.isnative:
        return x.astype(x.dtype.newbyteorder("="))
    return x


def in_memory_order(x: Value, t: Type) -> Value:
    """A parameter's value: an array with its axes as they lie in memory."""
    if t.order is None:
        return x
    if isinstance(x, np.ndarray):
        return x.transpose(t.order)
    return transpose_p(x, axes=t.order)


def overlaps_itself(x: np.ndarray[Any, Any]) -> bool:
    """Whether two elements may lie in one place."""
    reach = x.itemsize
    for stride, size in sorted((abs(s), n) for s, n in zip(x.strides, x.shape, strict=True)):
        if size > 1:
            if stride < reach:
                return True
            reach += stride * (size - 1)
    return False


def write_array(x: np.ndarray[Any, Any], write: Write, found: Any, sizes: Sizes) -> None:
    """What the function wrote to its argument, written to the caller's array."""
    shape = substituted(write.shape, sizes)
    value = None if write.output is None else found[write.output]
    if isinstance(value, Tracer):
        raise MutationError(
            f"a traced value was written into an ndarray ({describe_type(x.shape, x.dtype)}), an "
            f"argument of a jitted function{user_line()}; an ndarray cannot hold it. Pass "
            "xnp.array(a) in its place."
        )
    if x.shape != shape:
        x.shape = shape
    if value is not None:
        np.copyto(x, value)


def write_handle(handle: TracedArray, write: Write, found: Sequence[Value], sizes: Sizes) -> None:
    """The same for a traced argument."""
    shape = substituted(write.shape, sizes)
    if shape_of(handle.value) != shape:
        set_shape(handle, shape)
    if write.output is not None:
        handle.write(found[write.output])
