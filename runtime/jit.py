"""`jit`: a NumPy function recorded once as a Program, and from then on run as one.

A call is taken apart (`signature`), what the function reads besides is looked at (`environment`),
and an entry for both is found, or made by running the function on traced arguments (`traced`).
"""

from __future__ import annotations

import functools
import inspect
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autodiff import boundary
from ..autodiff.boundary import function_name
from ..autodiff.calls import call_p
from ..autodiff.core import Tracer, Value, describe_type, thread_state
from ..autodiff.errors import MutationError, user_line
from ..autodiff.handles import TracedArray
from ..autodiff.program import Program
from ..autodiff.views import set_shape
from . import traced
from .environment import Environment
from .executable import Executable, make_executable
from .explanation import Compile, Description, Explanation, describe, parameter_names, reason_of
from .randomness import random_state
from .signature import DYNAMIC, STATIC, TREE, Call
from .traced import ARGUMENT, COMPUTED, COPIED, Traced, Write

KEYS = 256  # signatures that a function keeps, and environments of each
ENVIRONMENTS = 8
COMPILES = 1000  # that `explain` remembers

Names = str | int | Sequence[str | int]


def jit(
    fun: Callable[..., Any] | None = None,
    *,
    static_argnames: Names = (),
    dynamic_argnames: Names = (),
) -> Any:
    """``fun`` compiled: recorded at the first call for every kind of arguments, then run natively.

    Arguments are arrays, numbers and trees of them (lists, tuples, dicts, pytree nodes). Arrays,
    floating and complex numbers are traced: one compilation serves all their values. Python's ints,
    bools, strings, None and all other hashable objects are static: the function sees them as they
    are, and each value is compiled on its own. Results have the types, dtypes and shapes of the
    plain function's; arguments that it writes to are written to, views it returns are views.

    What the function reads besides its arguments (globals, closures, attributes) may change between
    calls. What it does besides computing its results (print, append to a list) it does only when it
    is recorded. Also a decorator: ``@jit``, ``@jit(static_argnames="n")``.

    Parameters
    ----------
    fun : a function of arrays; branches and loops on values of traced arguments raise.
    static_argnames : names or positions of arguments that are static as a whole, by value.
    dynamic_argnames : names or positions of arguments whose ints and bools are traced.

    Raises
    ------
    ConcretizationError : Python asks for the value of a traced array: ``if x > 0``, ``float(x)``.
    TypeError : an argument is no array, number, hashable object or tree of them.

    >>> import xnp as np
    >>> @np.jit
    ... def norm(x):
    ...     return np.sqrt(np.sum(x * x))
    >>> print(norm(np.array([3.0, 4.0])))
    5.0
    """
    if fun is None:
        return functools.partial(
            jit, static_argnames=static_argnames, dynamic_argnames=dynamic_argnames
        )
    if isinstance(fun, (staticmethod, classmethod)):
        inner = jit(
            fun.__func__, static_argnames=static_argnames, dynamic_argnames=dynamic_argnames
        )
        return type(fun)(inner)
    return Jit(fun, static_argnames, dynamic_argnames)


class Jit:
    """A jitted function. See `jit`."""

    def __init__(self, fun: Callable[..., Any], static: Names, dynamic: Names) -> None:
        boundary.check_callable("jit", fun)
        if inspect.isgeneratorfunction(fun) or inspect.iscoroutinefunction(fun):
            raise TypeError(
                f"jit: {function_name(fun)} is a generator or coroutine, which runs in pieces; jit "
                "the functions of arrays that it calls."
            )
        self._fun = fun
        self._options = (static, dynamic)
        self._modes = _modes(fun, static, dynamic)
        self.clear_cache()
        functools.update_wrapper(self, fun, updated=())

    def clear_cache(self) -> None:
        """Forgets what has been compiled."""
        self._entries: dict[Any, list[Entry]] = {}
        self._log: list[Compile] = []
        self._past: list[tuple[Description, Environment]] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._run(Call(args, kwargs, self._mode))

    def _run(self, call: Call) -> Any:
        entry = self._found(call)
        if entry is None:
            entry = self._made(call)
        return entry.run(call)

    def _mode(self, place: int | str) -> int:
        return self._modes.get(place, TREE)

    def _found(self, call: Call) -> Entry | None:
        entries = self._entries.get(call.key, ())
        for entry in entries:
            if entry.serves(call):
                return entry
        if not entries:
            return None
        environment = Environment(self._fun, call.objects)
        for entry in entries:
            if entry.environment.key == environment.key:
                entry.objects, entry.environment = call.objects, environment
                return entry
        return None

    def _made(self, call: Call) -> Entry:
        """Records and compiles the function for a call of a new kind."""
        start = time.perf_counter()
        environment = Environment(self._fun, call.objects, names=True)
        before = random_state(environment.generators)
        entry = Entry(self._fun, call, environment)
        if before != random_state(environment.generators):
            entry.note = "draws random numbers: from the next call on the plain function runs"
            entry.draws = True
        elif not environment.unchanged():
            entry.note = "the function changes what it reads: it is recorded anew at each call"
        if environment.overflow:
            entry.note += "; reads more objects than are watched"
        if not entry.traced.captures:
            self._keep(call, entry)
        self._note(call, entry, start)
        return entry

    def _keep(self, call: Call, entry: Entry) -> None:
        known = self._entries.pop(call.key, [])
        self._entries[call.key] = [entry, *known][:ENVIRONMENTS]
        while len(self._entries) > KEYS:
            self._entries.pop(next(iter(self._entries)), None)

    def _note(self, call: Call, entry: Entry, start: float) -> None:
        description = describe(self._fun, call)
        reason = reason_of(description, self._past, entry.environment)
        signature = ", ".join(f"{name}: {text}" for name, text in description.items())
        milliseconds = (time.perf_counter() - start) * 1e3
        self._log.append(Compile(signature, reason, entry.note, milliseconds))
        self._past.append((description, entry.environment))
        del self._log[:-COMPILES], self._past[:-ENVIRONMENTS]

    def _entry(self, *args: Any, **kwargs: Any) -> Entry:
        call = Call(args, kwargs, self._mode)
        return self._found(call) or self._made(call)

    def trace(self, *args: Any, **kwargs: Any) -> Program:
        """The Program of a call with these arguments; printing it shows one equation a line."""
        return self._entry(*args, **kwargs).traced.program

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """What a call with these arguments is compiled to."""
        return Lowered(self.trace(*args, **kwargs))

    # -- as a method, copied, pickled --

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else BoundJit(self, instance)

    def __reduce__(self) -> Any:
        found: Any = sys.modules.get(getattr(self, "__module__", ""))
        name = getattr(self, "__qualname__", "")
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is self:
            return name
        static, dynamic = self._options
        return _unpickled, (self._fun, static, dynamic)

    def __copy__(self) -> Jit:
        return self

    def __deepcopy__(self, memo: Any) -> Jit:
        return self

    def __repr__(self) -> str:
        return f"<jit of {function_name(self._fun)}>"

    def _environment_parts(self) -> Any:
        return self._fun, self._options


class BoundJit:
    """A jitted method of an object, whose attributes it may read."""

    def __init__(self, function: Jit, instance: Any) -> None:
        self.__func__, self.__self__ = function, instance
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        function, instance = self.__func__, self.__self__
        return function._run(Call((instance, *args), kwargs, function._mode, instance))

    def trace(self, *args: Any, **kwargs: Any) -> Program:
        """See `Jit.trace`."""
        return self.__func__.trace(self.__self__, *args, **kwargs)

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """See `Jit.lower`."""
        return self.__func__.lower(self.__self__, *args, **kwargs)

    def clear_cache(self) -> None:
        """Forgets what has been compiled, for all objects."""
        self.__func__.clear_cache()

    def __eq__(self, other: object) -> bool:
        return (
            type(other) is BoundJit
            and other.__func__ is self.__func__
            and other.__self__ is self.__self__
        )

    def __hash__(self) -> int:
        return hash((id(self.__func__), id(self.__self__)))

    def __repr__(self) -> str:
        return f"<jit of {function_name(self.__func__)}, bound to {self.__self__!r}>"

    def __reduce__(self) -> Any:
        return getattr, (self.__self__, function_name(self.__func__))

    def _environment_parts(self) -> Any:
        return self.__func__, self.__self__


def _unpickled(fun: Callable[..., Any], static: Names, dynamic: Names) -> Jit:
    return Jit(fun, static, dynamic)


class Lowered:
    """What a jitted function is compiled to for one kind of arguments."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def as_text(self, stage: str = "program") -> str:
        """The text of a stage: "program"."""
        if stage != "program":
            raise ValueError(f"there is no stage {stage!r}; write 'program'")
        return str(self.program)

    def __str__(self) -> str:
        return self.as_text()


def explain(fun: Any) -> Explanation:
    """Each compilation of a jitted function: the arguments it serves, why it was needed, and how
    long it took.

    Raises TypeError for what is not a jitted function.

    >>> import xnp as np
    >>> f = np.jit(lambda x: x + 1)
    >>> f(1.0), f(np.ones(3)), f(2.0)
    (2.0, array([2., 2., 2.]), 3.0)
    >>> [compiled.reason for compiled in np.explain(f)]
    ['first call', 'x is f64[3] (was f64[]*)']
    """
    if isinstance(fun, BoundJit):
        fun = fun.__func__
    if not isinstance(fun, Jit):
        raise TypeError(f"explain takes a jitted function, got {boundary.describe_any(fun)}")
    return Explanation(function_name(fun), list(fun._log))


def _modes(fun: Callable[..., Any], static: Names, dynamic: Names) -> dict[int | str, int]:
    """How each argument that is named is taken, by position and by name."""
    found: dict[int | str, int] = {}
    for what, wanted, mode in (
        ("static_argnames", static, STATIC),
        ("dynamic_argnames", dynamic, DYNAMIC),
    ):
        for name in (wanted,) if isinstance(wanted, (str, int)) else tuple(wanted):
            for place in _places(fun, what, name):
                if found.setdefault(place, mode) != mode:
                    raise ValueError(f"jit: {name!r} is both static and dynamic")
    return found


def _places(fun: Callable[..., Any], what: str, name: Any) -> list[int | str]:
    if isinstance(name, bool) or not isinstance(name, (str, int)):
        raise TypeError(f"jit: {what} holds {name!r}; wanted names or positions of arguments")
    names = parameter_names(fun)
    if isinstance(name, int):
        place = name + len(names) if name < 0 else name
        return [place, *names[place : place + 1]]
    if name in names:
        return [name, names.index(name)]
    if names and not _takes(fun, name):
        raise ValueError(
            f"jit: {what} names {name!r}, but the parameters of {function_name(fun)} are "
            f"{', '.join(names)}"
        )
    return [name]


def _takes(fun: Callable[..., Any], name: str) -> bool:
    parameters = inspect.signature(fun).parameters
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


class Entry:
    """A compiled function for one kind of arguments and one environment."""

    def __init__(self, fun: Callable[..., Any], call: Call, environment: Environment) -> None:
        self.fun = fun
        self.objects = call.objects
        self.environment = environment
        self.traced = Traced(fun, call, environment)
        self.executable: Executable | None = None
        self.note = ""
        self.draws = False  # random numbers, which were drawn while it was recorded
        self.ran = False
        self.arrays = [*environment.arrays, *self.traced.live]

    def serves(self, call: Call) -> bool:
        """Whether the objects are the same, and nothing that was read has changed."""
        mine = self.objects
        if len(mine) != len(call.objects):
            return False
        same = all(a is b for a, b in zip(mine, call.objects, strict=True))
        return same and self.environment.unchanged()

    def run(self, call: Call) -> Any:
        if (self.draws and self.ran) or (self.traced.writes and self.overlaps(call)):
            return self.fun(*call.args, **call.kwargs)
        self.ran = True
        if thread_state.level or any(type(x) is TracedArray for x in call.leaves):
            return self.run_traced(call)
        if self.executable is None:
            strides = [None if t.converted else t.strides for t in call.types]
            self.executable = make_executable(self.traced.program, strides)
        found = self.executable(list(map(native, call.leaves)))
        for write in self.traced.writes:
            write_array(call.leaves[write.leaf], write, found)
        roots = [traced.finished(found[root.output], root) for root in self.traced.roots]
        return self.results(call, roots)

    def run_traced(self, call: Call) -> Any:
        """Under a transformation: one operation on Values."""
        values = [boundary.enter(native(x))[0] for x in call.leaves]
        recorded = self.traced
        found = call_p(*values, *recorded.captures, program=recorded.program)
        for write in recorded.writes:
            leaf = call.leaves[write.leaf]
            if type(leaf) is TracedArray:
                write_handle(leaf, write, found)
            else:
                write_array(leaf, write, found)
        roots = [traced.finished_handle(found[root.output], root) for root in recorded.roots]
        return self.results(call, roots)

    def results(self, call: Call, roots: list[Any]) -> Any:
        """The tree that the function returns."""
        leaves = []
        for source, of, steps in self.traced.results:
            if source == COMPUTED:
                leaf = roots[of]
            elif source == ARGUMENT:
                leaf = call.leaves[of]
            elif source == traced.STATIC:
                leaf = call.objects[of]
            else:
                leaf = of.copy("K") if source == COPIED else of
            leaves.append(traced.seen_through(leaf, steps) if steps else leaf)
        return self.traced.spec.fill(iter(leaves))

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


def overlaps_itself(x: np.ndarray[Any, Any]) -> bool:
    """Whether two elements may lie in one place."""
    reach = x.itemsize
    for stride, size in sorted((abs(s), n) for s, n in zip(x.strides, x.shape, strict=True)):
        if size > 1:
            if stride < reach:
                return True
            reach += stride * (size - 1)
    return False


def write_array(x: np.ndarray[Any, Any], write: Write, found: Sequence[Value]) -> None:
    """What the function wrote to its argument, written to the caller's array."""
    if x.shape != write.shape:
        x.shape = write.shape
    if write.output is None:
        return
    value = found[write.output]
    if isinstance(value, Tracer):
        raise MutationError(
            f"a traced value was written into an ndarray ({describe_type(x.shape, x.dtype)}), an "
            f"argument of a jitted function{user_line()}; an ndarray cannot hold it. Pass "
            "xnp.array(a) in its place."
        )
    np.copyto(x, value)


def write_handle(handle: TracedArray, write: Write, found: Sequence[Value]) -> None:
    if handle.value.shape != write.shape:
        set_shape(handle, write.shape)
    if write.output is not None:
        handle.write(found[write.output])
