"""`jit`: a NumPy function recorded once as a Program, and from then on run as one.

A call is taken apart (`signature`), what the function reads besides is looked at (`environment`),
and an entry for both is found, or made by running the function on traced arguments (`traced`).
"""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import sys
import time
import types
from collections.abc import Callable, Sequence
from typing import Any

from ..autodiff import boundary, dims
from ..autodiff.boundary import function_name
from ..autodiff.errors import warn_user
from ..autodiff.program import Program
from ..codegen.inspection import Inspection
from .argument_names import Names, modes_of, with_positions
from .containers import ContainerWriteError
from .debug import show
from .entries import Entry
from .entry import Entry as NativeEntry
from .entry_encode import FrameTooLargeError
from .environment import Environment
from .explanation import Compile, Description, Explanation, describe, reason_of
from .families import FAILURES, Family, has_symbolic_sizes, key_without_sizes
from .fast_path import signature_of
from .held import Held
from .inspecting import inspection_of
from .randomness import RandomState
from .reader import NODES
from .restoring import Storage
from .signature import TREE, Call
from .uncompiled import UNRECORDABLE, Uncompiled, check_reads

KEYS = 256  # signatures that a function keeps, and environments of each
ENVIRONMENTS = 8
COMPILES = 1000  # that `explain` remembers
LONG = 300  # characters of a signature that it shows
NOTHING = Environment(None, ())


def jit(
    fun: Callable[..., Any] | None = None,
    *,
    static_argnames: Names = (),
    dynamic_argnames: Names = (),
    static_argnums: int | Sequence[int] = (),
) -> Any:
    """``fun`` compiled: recorded at the first call for every kind of arguments, then run natively.

    Arguments are arrays, numbers and trees of them (lists, tuples, dicts, pytree nodes). Arrays,
    floating and complex numbers are traced: one compilation serves all their values. Python's ints,
    bools, strings, None and all other hashable objects are static: the function sees them as they
    are, and each value is compiled on its own. Results have the types, dtypes and shapes of the
    plain function's; arguments that it writes to are written to, views it returns are views.

    What the function reads besides its arguments (globals, closures, attributes) may change between
    calls. What it does besides computing its results (print, write a file) it does only when it is
    recorded. Also a decorator: ``@jit``, ``@jit(static_argnames="n")``.

    Parameters
    ----------
    fun : a function of arrays; branches and loops on values of traced arguments raise.
    static_argnames : names or positions of arguments that are static as a whole, by value.
    dynamic_argnames : names or positions of arguments whose ints and bools are traced.
    static_argnums : positions of further static arguments, as in JAX.

    Raises
    ------
    ConcretizationError : Python asks for the value of a traced array: ``if x > 0``, ``float(x)``.
        Where only a size or dtype depends on values the plain function runs, with a warning.
    TypeError : an argument is no array, number, hashable object or tree of them.

    >>> import xnp as np
    >>> @np.jit
    ... def norm(x):
    ...     return np.sqrt(np.sum(x * x))
    >>> print(norm(np.array([3.0, 4.0])))
    5.0
    """
    static = with_positions(static_argnames, static_argnums)
    if fun is None:
        return functools.partial(jit, static_argnames=static, dynamic_argnames=dynamic_argnames)
    if isinstance(fun, (staticmethod, classmethod)):
        inner = jit(fun.__func__, static_argnames=static, dynamic_argnames=dynamic_argnames)
        return type(fun)(inner)
    return Jit(fun, static, dynamic_argnames)


_IN_PIECES = (
    inspect.isgeneratorfunction,
    inspect.iscoroutinefunction,
    inspect.isasyncgenfunction,
)


class Jit(NativeEntry):
    """A jitted function. See `jit`. Calls reach Python only if no compiled signature fits."""

    def __init__(self, fun: Callable[..., Any], static: Names, dynamic: Names) -> None:
        boundary.check_callable("jit", fun)
        if any(runs(fun) for runs in _IN_PIECES):
            raise TypeError(
                f"jit: {function_name(fun)} is a generator or coroutine, which runs in pieces; jit "
                "the functions of arrays that it calls."
            )
        super().__init__(self._missed, function_name(fun))
        self._fun = fun
        self._options = (static, dynamic)
        self._modes = modes_of(fun, static, dynamic)
        self._warned: set[str] = set()
        self.clear_cache()
        functools.update_wrapper(self, fun, updated=())

    def clear_cache(self) -> None:
        """Forgets what has been compiled."""
        self.clear()
        self._entries: dict[Any, list[Entry]] = {}
        self._families: dict[Any, Family] = {}
        self._log: list[Compile] = []
        self._past: list[tuple[Description, Environment, Held]] = []
        self._container_writes = 0  # for how many kinds of arguments
        self._always: Uncompiled | None = None  # runs all calls
        self._plain: Uncompiled | None = None  # ran the last call that was not compiled

    def _missed(self, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> Any:
        if not kwargs and self._plain is not None and self._plain.repeats(args):
            return self._fun(*args)
        call = self._call(args, kwargs or {})
        if dims.in_use and has_symbolic_sizes(call):  # in a Program for any size
            return self._fun(*call.args, **call.kwargs)
        found = self._entry(call)
        if isinstance(found, Uncompiled):
            self._warn_once(f"runs {function_name(self._fun)} uncompiled: {found.why}")
            self._plain = found
            return found.run(call)
        result = found.run(call)
        if not found.is_fast and found.executable is not None:
            signature = signature_of(found, call)
            found.is_fast = True  # or cannot be
            if signature is not None:
                with contextlib.suppress(FrameTooLargeError):
                    self.add(signature)
        return result

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        bound = args[0] if args and self._is_method_of(type(args[0])) else None
        return Call(args, kwargs, self._mode, bound)

    def _is_method_of(self, kind: type) -> bool:
        return any(vars(cls).get(self.__name__) is self for cls in kind.__mro__)

    def _warn_once(self, text: str) -> None:
        """One warning that starts alike, ``does f``, for each function."""
        kind = text.partition(" ")[0]
        if kind not in self._warned:
            self._warned.add(kind)
            warn_user(f"jit {text}", RuntimeWarning)

    def _entry(self, call: Call) -> Entry | Uncompiled:
        return self._found(call) or self._made(call)

    def _compiled(self, call: Call) -> Entry:
        entry = self._entry(call)
        if isinstance(entry, Uncompiled):
            raise entry.kind(entry.why)
        return entry

    def _mode(self, place: int | str) -> int:
        return self._modes.get(place, TREE)

    def _found(self, call: Call) -> Entry | Uncompiled | None:
        if self._always is not None:
            return self._always
        entries: Sequence[Entry | Uncompiled] = self._entries.get(call.key, ())
        for entry in entries:
            if entry.serves(call):
                return entry
        family = self._families.get(key_without_sizes(call)) if self._families else None
        if family is not None:
            entry = family.found(call)
            if entry is not None:
                return entry
            entries = [*entries, *family.fitting(call)]
        return self._found_slowly(call, entries) if entries else None

    def _found_slowly(
        self, call: Call, entries: Sequence[Entry | Uncompiled]
    ) -> Entry | Uncompiled | None:
        """Among entries of the right kind, that in whose environment something may have changed."""
        environment = Environment(self._fun, call.objects)
        for entry in entries:
            if entry.environment.key == environment.key and entry.reads_the_same():
                entry.held, entry.environment = Held(call.objects), environment
                return entry
        return None

    def _made(self, call: Call) -> Entry | Uncompiled:
        """Records and compiles the function for a call of a new kind."""
        start = time.perf_counter()
        self._forget_dead()
        environment = Environment(self._fun, call.objects, names=True)
        before = RandomState(environment.generators)
        storage = Storage(self._fun, call.objects, environment)
        family = self._family(call)
        try:
            check_reads(environment)
            entry = self._recorded(call, environment, family, before, storage)
        except UNRECORDABLE as error:
            before.restore()
            storage.undo()
            plain = Uncompiled(self._fun, call, environment, error)
            family.fail(plain)
            if isinstance(error, ContainerWriteError):
                self._container_writes += 1  # one that grows has another type each time
            changed = not environment.unchanged() and not environment.has_imported()
            if self._container_writes >= FAILURES or changed:
                self._always = plain  # what it writes, and reads, is not to be written twice again
            self._note(call, plain, start)
            return plain
        except Exception:
            storage.undo_traced()
            raise
        if before.has_changed():
            entry.note = "draws random numbers: from the next call on the plain function runs"
            entry.draws = True
        elif environment.has_imported():
            entry.note = "imports modules: it is recorded once more, now that they are there"
        elif not environment.unchanged():
            entry.note = "the function changes what it reads: it is recorded anew at each call"
            entry.is_fast = True  # as fast as it gets
        if environment.unwatched is not None:
            self._tell_unwatched(entry, environment.unwatched)
        if compared := sum(x.nbytes for x, _ in entry.exact) >> 20:
            note = f"compares {compared} MB of arrays from outside at each call"
            entry.note = "; ".join(filter(None, (entry.note, note)))
        if not entry.traced.captures:
            self._keep(call, entry, family)
        self._note(call, entry, start)
        return entry

    def _tell_unwatched(self, entry: Entry, name: str) -> None:
        entry.note = "; ".join(filter(None, (entry.note, "reads more objects than are watched")))
        self._warn_once(
            f"does not watch all that {function_name(self._fun)} reads besides its arguments (up "
            f"to {NODES:,} objects). It does not see changes of {name}, for one. Pass what may "
            "change as an argument, or call clear_cache() after a change."
        )

    def _family(self, call: Call) -> Family:
        key = key_without_sizes(call)
        family = self._families.pop(key, None) or Family()
        self._families[key] = family
        _shorten(self._families)
        return family

    def _recorded(
        self,
        call: Call,
        environment: Environment,
        family: Family,
        before: RandomState,
        storage: Storage,
    ) -> Entry:
        """For any size, if sizes have varied and it is possible; else for the sizes at hand."""

        def recorded(*symbolic: Any) -> Entry:
            entry = Entry(self._fun, call, environment, *symbolic)
            storage.check()
            return entry

        symbolic = family.symbolic_types(call)
        if symbolic is None:
            entry = recorded()
            entry.note = family.why
            return entry
        try:
            entry = recorded(*symbolic)
        except ContainerWriteError:
            raise
        except Exception:  # noqa: BLE001 - the function's own, if any, come again
            entry = None
        if entry is not None and entry.is_for_any_size() and not entry.traced.captures:
            guards = ", ".join(map(str, symbolic[0].guards))
            entry.note = f"for any size{' with ' if guards else ''}{guards}"
            return entry
        before.restore()
        storage.undo()
        entry = recorded()  # what this raises says nothing of other sizes
        family.is_fixed = True
        if symbolic[0].fixed_at:
            family.why = entry.note = (
                f"for these sizes: one is taken for a number{symbolic[0].fixed_at}"
            )
        return entry

    def _keep(self, call: Call, entry: Entry, family: Family) -> None:
        if entry.scope is not None:
            family.entries = [entry, *family.entries][:ENVIRONMENTS]
            return
        known = self._entries.pop(call.key, [])
        self._entries[call.key] = [entry, *known][:ENVIRONMENTS]
        _shorten(self._entries)

    def _forget_dead(self) -> None:
        """What was recorded for objects that are no more, with all that their attributes hold."""
        for key, entries in list(self._entries.items()):
            alive = [entry for entry in entries if entry.held.alive()]
            if len(alive) < len(entries):
                self._entries[key] = alive
        for family in list(self._families.values()):
            family.entries = [entry for entry in family.entries if entry.held.alive()]
        self.drop(lambda signature: not signature.keep[0].held.alive())
        self._past = [
            (text, environment if held.alive() else NOTHING, held)
            for text, environment, held in self._past
        ]

    def _note(self, call: Call, entry: Entry | Uncompiled, start: float) -> None:
        description = describe(self._fun, call)
        before = [(text, environment) for text, environment, _ in self._past]
        reason = reason_of(description, before, entry.environment)
        signature = ", ".join(f"{name}: {text}" for name, text in description.items())
        if len(signature) > LONG:
            signature = f"{signature[:LONG]} ... ({len(description)} leaves)"
        milliseconds = (time.perf_counter() - start) * 1e3
        entry.record = Compile(signature, reason, entry.note, milliseconds)
        self._log.append(entry.record)
        name = function_name(self._fun)
        show(1, f"recorded {name}", lambda: f"({signature}) in {milliseconds:.1f} ms: {reason}")
        self._past.append((description, entry.environment, entry.held))
        del self._log[:-COMPILES], self._past[:-ENVIRONMENTS]

    def trace(self, *args: Any, **kwargs: Any) -> Program:
        """The Program of a call with these arguments; printing it shows one equation a line.

        It can be called with values of the types that it shows, also under transformations, and
        gives a list of what it computes: arrays as they lie in memory, those written to among the
        arguments, no views. So it is to be read, and checked; what computes is the jitted function.
        """
        return self._compiled(self._call(args, kwargs)).traced.program

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """What a call with these arguments is compiled to."""
        return Lowered(self.trace(*args, **kwargs))

    def inspect(self, *args: Any, **kwargs: Any) -> Inspection:
        """What a call with these arguments is compiled to, to be looked at: the Program before and
        after the passes, the kernels with the bytes they move and the operations they do, MLIR,
        LLVM IR, assembly; as text, a picture, or a page, which a notebook shows. It is compiled
        once more for that.

        >>> import xnp as np
        >>> found = np.jit(lambda x: np.sin(x) * 2).inspect(np.ones(3))
        >>> found.operations, found.bytes
        (6, 48)
        """
        call = self._call(args, kwargs)
        entry = self._compiled(call)
        return inspection_of(entry.traced.program, entry.sizes_by_symbol(call))

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
        """Of a copied object's method that of the copy; plain functions are not copied."""
        fun = copy.deepcopy(self._fun, memo)
        if id(self) in memo:  # the object holds it
            return memo[id(self)]
        return self if fun is self._fun else Jit(fun, *self._options)

    def __repr__(self) -> str:
        return f"<jit of {function_name(self._fun)}>"

    def _environment_parts(self) -> Any:
        return self._fun, self._options


class BoundJit:
    """A jitted method of an object, whose attributes it may read."""

    def __init__(self, function: Jit, instance: Any) -> None:
        self.__func__, self.__self__ = function, instance
        functools.update_wrapper(self, function, updated=())
        # The bound method, whose signature it has: without ``self``.
        self.__wrapped__ = types.MethodType(function._fun, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__func__(self.__self__, *args, **kwargs)

    def trace(self, *args: Any, **kwargs: Any) -> Program:
        """See `Jit.trace`."""
        return self.__func__.trace(self.__self__, *args, **kwargs)

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """See `Jit.lower`."""
        return self.__func__.lower(self.__self__, *args, **kwargs)

    def inspect(self, *args: Any, **kwargs: Any) -> Inspection:
        """See `Jit.inspect`."""
        return self.__func__.inspect(self.__self__, *args, **kwargs)

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


_STAGES = ("optimized", "mlir", "llvm", "assembly")


class Lowered:
    """What a jitted function is compiled to for one kind of arguments."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def as_text(self, stage: str = "program") -> str:
        """The text of a stage: "program", "optimized" (by the passes), "mlir", "llvm", "assembly".

        Raises ValueError for others.
        """
        if stage == "program":
            return str(self.program)
        if stage not in _STAGES:
            names = ", ".join(map(repr, ("program", *_STAGES)))
            raise ValueError(f"there is no stage {stage!r}; there are {names}")
        return str(getattr(inspection_of(self.program), stage))

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


def _shorten(cache: dict[Any, Any]) -> None:
    while len(cache) > KEYS:
        cache.pop(next(iter(cache)), None)
