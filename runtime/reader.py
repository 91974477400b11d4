"""The walk from a function to all that it reads, which makes an `Environment`."""

from __future__ import annotations

import collections
import contextvars
import functools
import gc
import operator
import sys
import threading
import types
import weakref
from array import array
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import numpy as np

from ..autodiff.handles import TracedArray
from .code_reads import (
    Chains,
    Import,
    closure_reads,
    float_constants,
    global_reads,
    hides,
    mentions,
)
from .containers import MISSING, slots_of
from .held import can_die
from .modules import OWN, imports_of, is_library, top_of
from .probes import (
    WHOLE,
    Probe,
    attribute,
    cell_contents,
    contents_of,
    copied,
    is_class_noise,
    is_dunder,
    is_missing,
    names_probe,
    same_bytes,
    same_contents,
    same_dict,
    same_items,
    same_local,
    same_objects,
    same_set,
)
from .randomness import global_generators, is_generator
from .reachable import Edge, readable
from .signature import typed_key
from .tokens import Equal, is_hashable, name_key

NODES = 20_000  # objects looked at, for one function
LONG = 200  # characters of a name

_ATOMS = frozenset({int, bool, str, bytes, type(None), type(...), float, complex, range, slice})


class Reader:
    """Walks from a function to all it reads."""

    def __init__(self, with_names: bool) -> None:
        self.tokens: list[Hashable] = []
        self.probes: list[Probe] = []
        self.refs: list[Any] = []
        self.dying: set[int] = set()  # ids of what is not to be kept alive
        self.arrays: list[np.ndarray[Any, Any]] = []
        self.floats: set[int] = set()  # ids of those in the code, and of values of its variables
        self.generators: list[Any] = []
        self.names: list[tuple[str, Hashable]] = []
        self.with_names = with_names
        self.seen: dict[int, int] = {}
        self.waiting: collections.deque[tuple[Any, str]] = collections.deque()
        self.edges: list[Edge] = []
        self.reads_by_name = False  # attributes whose names stand in no code
        self.source = 0  # the id of what is being looked at
        self.modules: set[int] = set()  # of which all has been looked at
        self.absent: list[str] = []  # modules that have not been imported yet
        self.unwatched: str | None = None
        self.functions: list[types.FunctionType] = []  # of the user's
        self.hiding: list[tuple[Any, str]] = []  # functions that read what is not in their code
        self.methods: dict[int, str] = {}  # names in classes, by id of the function
        self.mentioned: set[str] = set()  # all names in all code
        self.home = ""

    def run(self, function: Any, objects: Iterable[Any]) -> None:
        inner = function
        while isinstance(inner, functools.partial):
            inner = inner.func
        self.home = top_of(inner)
        objects = list(objects)
        self.dying = {id(x) for x in objects if can_die(x)}
        self.value(function, "")
        for x in objects:
            self.value(x, x.__name__ if isinstance(x, type) else type(x).__name__)
        self.walk()
        self.source = 0
        self.descriptions()
        self.walk()

    def walk(self) -> None:
        while self.waiting:  # no recursion: a list of lists of lists may be long
            x, name = self.waiting.popleft()
            self.source = id(x)
            self.contents(x, type(x), name)

    def large(self) -> list[np.ndarray[Any, Any]]:
        """The large arrays that the code may look at, if there were names to tell by."""
        found = [x for x in self.arrays if x.nbytes > WHOLE and not x.dtype.hasobject]
        if not (found and self.with_names):
            return []
        if self.reads_by_name:
            return found
        read = readable(self.edges, self.functions)
        return [x for x in found if id(x) in read]

    def hidden(self) -> str | None:
        """What reads unknown variables; not a method that no code calls by its name."""
        for function, text in self.hiding:
            method = self.methods.get(id(function))
            if method is None or method in self.mentioned or "getattr" in self.mentioned:
                return text
        return None

    # -- values --

    def value(self, x: Any, name: str, attribute: str | None = None) -> None:
        """Something that is reached, as this attribute of what is being looked at."""
        kind = type(x)
        if len(name) > LONG:
            name = f"{name[: LONG - 20]} ..."
        if kind in _ATOMS:
            if kind is float:
                self.floats.add(id(x))
            self.token(typed_key(x), name)
            return
        if self.with_names:
            self.edges.append(Edge(self.source, id(x), attribute))
        if id(x) in self.seen:
            self.tokens.append(("again", self.seen[id(x)]))
            return
        if len(self.seen) > NODES:
            self.unwatched = self.unwatched or name or kind.__name__
            self.identity(x, name)
            return
        self.seen[id(x)] = len(self.seen)
        self.refer_to(x)
        self.tokens.append("later")
        self.waiting.append((x, name))

    def token(self, token: Hashable, name: str) -> None:
        self.tokens.append(token)
        if self.with_names and name:
            self.names.append((name, token))

    def refer_to(self, x: Any) -> None:
        if id(x) not in self.dying:
            self.refs.append(x)

    def identity(self, x: Any, name: str) -> None:
        self.refer_to(x)
        self.token(("is", id(x)), name)

    def contents(self, x: Any, kind: type, name: str) -> None:
        reader = _READERS.get(kind)
        parts = getattr(kind, "_environment_parts", None)
        if parts is not None:
            self.value(parts(x), name)
        elif reader is not None:
            reader(self, x, name)
        elif isinstance(x, np.ndarray):
            self.array(x, name)
        elif isinstance(x, np.generic):
            self.token(typed_key(x), name)
        elif isinstance(x, type):
            self.klass(x, name)
        elif kind is TracedArray:
            self.refs.append(x.value)
            self.token((id(x), id(x.value)), name)
        elif is_generator(kind):
            self.generators.append(x)
            self.identity(x, name)
        elif isinstance(x, (bytearray, array, memoryview)):
            self.buffer(x, name)
        else:
            if isinstance(x, weakref.ref):
                self.reference(x, name)
            elif (reader := _container_reader(x)) is not None:
                reader(self, x, name)
            self.instance(x, name)

    def sequence(self, x: Any, name: str) -> None:
        items = copied(tuple, x)
        self.token((type(x), len(items)), f"the number of items of {name}")
        if not isinstance(x, tuple):
            self.probes.append((functools.partial(same_items, x), items, True))
        for i, item in enumerate(items):
            self.value(item, f"{name}[{i}]")

    def mapping(self, x: Any, name: str) -> None:
        items = copied(dict, x)
        self.token((type(x), tuple(map(name_key, items))), f"the keys of {name}")
        self.probes.append((functools.partial(same_dict, x), items, True))
        for key, item in items.items():
            if not _is_atomic(key):
                self.value(key, name)
            self.value(item, f"{name}[{key!r}]")
        if isinstance(x, collections.defaultdict):
            factory = x.default_factory
            self.probes.append((functools.partial(attribute, x), "default_factory", factory))
            self.value(factory, f"{name}.default_factory")

    def set(self, x: Any, name: str) -> None:
        items = copied(set, x)
        self.token((type(x), frozenset(map(typed_key, items))), name)
        self.probes.append((functools.partial(same_set, x), items, True))
        for item in items:
            if not _is_atomic(item):
                self.value(item, name)

    def behind(self, x: Any, name: str) -> None:
        """A view of a dict, or a proxy of a mapping: what it shows."""
        self.identity(x, name)
        for item in gc.get_referents(x):
            self.value(item, name)

    def reference(self, x: weakref.ref[Any], name: str) -> None:
        found = _referent(x)
        self.identity(x, name)
        self.probes.append((_referent, x, found))
        self.value(found, name)

    def buffer(self, x: Any, name: str) -> None:
        self.token((type(x), bytes(x)), name)
        self.probes.append((functools.partial(same_bytes, x), bytes(x), True))

    def array(self, x: np.ndarray[Any, Any], name: str) -> None:
        self.arrays.append(x)
        number = contents_of(x)
        self.token(("array", id(x), x.dtype, x.shape, x.strides, number), name)
        self.probes.append((same_contents(x, number), None, True))
        if x.dtype.kind == "O":
            self.probes.append((functools.partial(same_objects, x), tuple(x.flat), True))
            for i, item in enumerate(x.flat):
                self.value(item, f"{name}.flat[{i}]")
        elif x.dtype.hasobject:
            self.unwatched = self.unwatched or f"the objects in {name}"
        if type(x) is not np.ndarray:  # a mask, what a subclass carries
            self.instance(x, name)

    def module(self, x: types.ModuleType, name: str) -> None:
        self.identity(x, name)
        self.imported(x, name)

    def instance(self, x: Any, name: str) -> None:
        """An object of some class: itself, its class, its attributes."""
        kind = type(x)
        if kind.__eq__ is not object.__eq__ and is_hashable(x):
            self.token((kind, Equal(x)), name)
        else:
            self.identity(x, name)
        is_ours = all(  # no method of a library reads its attributes
            cls.__module__ in ("builtins", "types", "typing") or self.is_users(cls.__module__)
            for cls in kind.__mro__
        )
        if self.is_users(kind.__module__):
            self.value(kind, name and f"type({name})")
        attributes = getattr(x, "__dict__", None)
        if type(attributes) is dict:  # an empty one may get what hides an attribute of the class
            if isinstance(x, threading.local):
                same = functools.partial(same_local, x)
            else:
                same = functools.partial(same_dict, attributes)
            now = attributes.copy()
            self.probes.append((same, now, True))
            self.tokens.append(tuple(now))
            for key, item in now.items():
                self.value(item, f"{name}.{key}" if name else str(key), key if is_ours else None)
        for key, item in slots_of(x):
            self.probes.append((functools.partial(attribute, x), key, item))
            if item is MISSING:
                self.tokens.append("empty")
            else:
                self.value(item, f"{name}.{key}" if name else str(key), key if is_ours else None)

    def klass(self, x: type, name: str) -> None:
        self.identity(x, name)
        if self.is_users(type(x).__module__):
            self.value(type(x), "")
        for cls in x.__mro__:
            if not self.is_users(cls.__module__):
                continue
            members = {k: v for k, v in vars(cls).copy().items() if not is_class_noise(k)}
            self.probes.append(names_probe(cls, members, is_class_noise))
            self.tokens.append(tuple(members))
            for key, item in members.items():
                if type(item) is types.FunctionType and not key.startswith("__"):
                    self.methods[id(item)] = key
                self.value(item, f"{name}.{key}", key)

    def context_variable(self, x: Any, name: str) -> None:
        found = x.get(MISSING)
        self.identity(x, name)
        self.probes.append((x.get, MISSING, found))
        if found is not MISSING:
            self.value(found, name)

    def wrapped(self, x: Any, name: str) -> None:
        self.value(x.__func__, name)

    def prop(self, x: property, name: str) -> None:
        for part in (x.fget, x.fset, x.fdel):
            self.value(part, name)

    def method(self, x: types.MethodType, name: str) -> None:
        self.value(x.__func__, name)
        self.value(x.__self__, "self")

    def built_in(self, x: types.BuiltinMethodType, name: str) -> None:
        """A function written in C, or a method of an object: ``l.append``, ``generator.random``."""
        self.identity(x, name)
        if not isinstance(x.__self__, (types.ModuleType, types.NoneType)):
            self.value(x.__self__, f"{name}.__self__")

    def getter(self, x: Any, name: str) -> None:
        self.identity(x, name)
        self.reads_by_name = True

    def partial(self, x: Any, name: str) -> None:
        self.value(x.func, name)
        self.value(x.args, f"{name}.args")
        self.value(x.keywords, f"{name}.keywords")

    # -- functions --

    def function(self, f: types.FunctionType, name: str) -> None:
        self.token(f.__code__, name)
        if self.with_names:
            self.floats |= float_constants(f.__code__)
            if any("random" in name for name in mentions(f.__code__)):
                self.generators += global_generators()
        self.value(f.__defaults__, f"the defaults of {f.__name__}")
        if f.__kwdefaults__:
            self.value(f.__kwdefaults__, f"the defaults of {f.__name__}")
        for part in ("__code__", "__defaults__", "__kwdefaults__"):
            self.probes.append((functools.partial(getattr, f), part, getattr(f, part)))
        if f.__dict__:
            self.value(f.__dict__, f"vars({f.__name__})")
        else:
            self.probes.append((len, f.__dict__, 0))
        for freevar, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True):
            reads = closure_reads(f.__code__)
            self.root(cell_contents(cell), freevar, (cell_contents, cell), reads)
        if self.is_users(f.__globals__.get("__name__")):
            self.token(id(f.__globals__), "")
            self.refs.append(f.__globals__)
            self.mentioned |= mentions(f.__code__)
            self.functions.append(f)
            if (hiding := hides(f.__code__)) is not None and hiding not in f.__globals__:
                self.hiding.append((f, f"{hiding} in {f.__name__}"))
            for variable, chains in global_reads(f.__code__).items():
                self.global_name(f.__globals__, variable, chains)
            for found in imports_of(f):
                if self.is_users(found.name):
                    self.imports(f, found)

    def descriptions(self) -> None:
        """What functions say of themselves, if any code reads it."""
        for part in sorted({"__doc__", "__annotations__"} & self.mentioned):
            for f in self.functions:
                found = getattr(f, part)
                self.probes.append((functools.partial(getattr, f), part, found))
                self.value(found, f"{f.__name__}.{part}")

    def global_name(self, space: dict[str, Any], name: str, chains: Chains) -> None:
        found = space.get(name, MISSING)
        if found is MISSING:  # a builtin, or not there yet
            self.probes.append((functools.partial(is_missing, space), name, True))
            self.token(("missing", name), name)
            return
        self.root(found, name, (space.get, name), {name: chains})

    def root(self, x: Any, name: str, get: tuple[Any, Any], reads: dict[str, Chains]) -> None:
        """A variable that the code reads: its value, or of a user's module what is read in it."""
        self.probes.append((*get, x))
        if x is MISSING:
            self.token("empty", name)
        elif not isinstance(x, types.ModuleType) or not self.is_users(x.__name__):
            self.value(x, name)
        else:
            self.identity(x, name)
            for chain in sorted(reads.get(name, ())):
                self.chain(x, name, chain)

    def imports(self, f: types.FunctionType, found: Import) -> None:
        """The modules that a function imports: the names it takes from one, or all in it; of the
        packages around it the names that the code mentions.
        """
        parts = found.name.split(".")
        for i in range(1, len(parts) + 1):
            name = ".".join(parts[:i])
            module = sys.modules.get(name, MISSING)
            if module is MISSING:
                self.probes.append((functools.partial(is_missing, sys.modules), name, True))
                self.token(("missing", name), name)
                self.absent.append(name)
                return
            self.probes.append((sys.modules.get, name, module))
            self.identity(module, name)
            if not isinstance(module, types.ModuleType):  # None: it is not to be imported
                return
            if i == len(parts) and found.names is None:
                self.imported(module, name)
                return
            names = mentions(f.__code__) & vars(module).keys() if i < len(parts) else found.names
            for variable in sorted(names or ()):
                if f"{name}.{variable}" not in sys.modules or i == len(parts):
                    self.chain(module, name, (variable,))
                    if variable not in vars(module):
                        self.absent.append(f"{name}.{variable}")

    def imported(self, x: Any, name: str) -> None:
        """A module that the function uses as a value, or imports itself: all that is in it."""
        if self.is_users(x.__name__) and id(x) not in self.modules:
            self.modules.add(id(x))
            self.identity(x, name)
            members = {k: v for k, v in vars(x).copy().items() if not is_dunder(k)}
            self.probes.append(names_probe(x, members, is_dunder))
            self.token(tuple(members), f"the names in {name}")
            for key, item in members.items():
                self.value(item, f"{name}.{key}", key)

    def chain(self, x: Any, name: str, chain: tuple[str, ...]) -> None:
        """``module.a.b``: through modules, up to what is none; of a module as such, all of it."""
        for part in chain:
            found = getattr(x, part, MISSING)
            name = f"{name}.{part}"
            self.probes.append((functools.partial(attribute, x), part, found))
            if isinstance(found, types.ModuleType) and self.is_users(found.__name__):
                x = found
                continue
            if found is not MISSING:
                self.value(found, name, part)
            return
        self.imported(x, name)

    def is_users(self, module: Any) -> bool:
        """Whether a module may change while the program runs: it is no installed library, or that
        of the function itself.
        """
        if not isinstance(module, str):  # of a class written in C
            return module is None
        top = module.partition(".")[0]
        return not is_library(top) or (bool(self.home) and top == self.home and top not in OWN)


_referent = weakref.ref.__call__


def _is_atomic(x: Any) -> bool:
    return type(x) in _ATOMS or (type(x) is tuple and all(map(_is_atomic, x)))


def _container_reader(x: Any) -> Callable[[Reader, Any, str], None] | None:
    """For instances of subclasses of Python's containers."""
    if isinstance(x, dict):
        return Reader.mapping
    if isinstance(x, (list, tuple, collections.deque)):
        return Reader.sequence
    return Reader.set if isinstance(x, (set, frozenset)) else None


_SAMPLES: list[Any] = [{}, collections.OrderedDict()]
_VIEWS = [type(view) for d in _SAMPLES for view in (d.keys(), d.values(), d.items())]
_READERS: dict[type, Callable[[Reader, Any, str], None]] = {
    list: Reader.sequence,
    tuple: Reader.sequence,
    dict: Reader.mapping,
    set: Reader.set,
    frozenset: Reader.set,
    types.FunctionType: Reader.function,
    types.MethodType: Reader.method,
    types.BuiltinMethodType: Reader.built_in,
    types.ModuleType: Reader.module,
    functools.partial: Reader.partial,
    contextvars.ContextVar: Reader.context_variable,
    staticmethod: Reader.wrapped,
    classmethod: Reader.wrapped,
    property: Reader.prop,
    operator.attrgetter: Reader.getter,
    operator.methodcaller: Reader.getter,
    weakref.ref: Reader.reference,
    types.MappingProxyType: Reader.behind,
    **dict.fromkeys(_VIEWS, Reader.behind),
}
