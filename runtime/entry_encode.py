"""Writes a `Signature` as the words that `entry_code` reads."""

from __future__ import annotations

from itertools import chain
from types import FunctionType
from typing import Any

import numpy as np

from . import entry_layout as at
from .entry_signature import (
    ABSENT,
    SCALAR_DTYPES,
    Again,
    Argument,
    Array,
    Given,
    NewArray,
    NewScalar,
    Rebuild,
    Scalar,
    Signature,
    Size,
    Static,
    WatchAttribute,
    WatchCall,
    WatchCell,
    WatchContents,
    WatchItem,
    WatchWord,
    children,
)

MOST_WORDS = 1 << 15  # the frame lies on the stack, and a thread's stack may be small


class FrameTooLargeError(ValueError):
    """A signature has too many leaves for the native stack."""


class Encoded:
    """A signature's words, at ``address``, and all Python objects they point to."""

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self.objects: list[Any] = []
        self.alive: list[WatchWord] = []  # what is not kept alive is still there
        self._place(signature)
        sections = [
            [self._keep(name) for name in signature.keywords],
            self._checks(),
            self._returns(),
            self._tree(signature.result),
            self._watches((*self.alive, *signature.watches)),
        ]
        self.words = self._write(sections)
        self.address = self.words.ctypes.data

    def _keep(self, value: Any) -> int:
        """An object's address; the object lives as long as this."""
        self.objects.append(value)
        return id(value)

    def _place(self, signature: Signature) -> None:
        """Give every part of the frame its first word."""
        taken = at.F_OBJECTS

        def take(count: int) -> int:
            nonlocal taken
            taken += count
            return taken - count

        self.object_count = sum(map(_count_objects, self._given()))
        inputs = [leaf for leaf in signature.arguments if not isinstance(leaf, Static)]
        arrays = [leaf for leaf in inputs if isinstance(leaf, Array)]
        outputs = [leaf for leaf in signature.results if isinstance(leaf, NewArray | NewScalar)]
        self.range_count = len(arrays) if any(leaf.mutated for leaf in arrays) else 0
        take(self.object_count)
        self.inputs = take(len(inputs))
        self.outputs = take(len(outputs))
        self.sizes = take(signature.symbols)
        self.computed = take(signature.computed)
        self.ranges = take(3 * self.range_count)
        self.shape = take(max((len(x.dims) for x in outputs if isinstance(x, NewArray)), default=0))
        self.results = take(len(signature.results))
        self.stack = take(_count_objects(signature.result))
        self.slots = take(2 * (len(inputs) + len(outputs)))
        self.frame_words = taken
        if taken > MOST_WORDS:
            raise FrameTooLargeError("too many arguments and results for the native call path")

    def _given(self) -> tuple[Any, ...]:
        return (*self.signature.positional, *self.signature.keywords.values())

    # Arguments

    def _checks(self) -> list[int]:
        self.words_so_far: list[int] = []
        self.leaf_objects: list[int] = []  # the number of each leaf's object
        self.next_object = len(self._given())
        self.next_input = self.inputs
        self.next_slot = self.slots
        self.next_range = self.ranges
        self.bound: set[int] = set()
        for number, spec in enumerate(self._given()):
            self._check(spec, number)
        return self.words_so_far

    def _check(self, spec: Any, number: int) -> None:
        nested = children(spec)
        if nested is not None:
            self._check_container(spec, nested, number)
            return
        self.leaf_objects.append(number)
        if isinstance(spec, Static) and spec.weak:
            found = spec.value()
            address = 0 if found is None else id(found)
            self._record(at.CHECK_STATIC, number, address, at.SAME_OBJECT)
            self.alive.append(WatchWord(self._keep(spec.value) + 8 * at.REFERENT_WORD, address))
            return
        if isinstance(spec, Static):
            self._record(at.CHECK_STATIC, number, self._keep(spec.value), _how_same(spec))
            return
        if isinstance(spec, Array):
            self._check_array(spec, number)
        elif isinstance(spec, Scalar):
            kind = self._keep(spec.type)
            how = _FROM.get(spec.type, at.FROM_NUMPY)
            self._record(at.CHECK_SCALAR, number, self.next_input, self.next_slot, kind, how)
            self.next_slot += 2
        self.next_input += 1

    def _check_array(self, spec: Array, number: int) -> None:
        order = at.F_CONTIGUOUS if spec.fortran else at.C_CONTIGUOUS
        order = order if spec.strides is None else 0
        flags = mask = order | at.ALIGNED
        if spec.mutated or spec.writeable is not None:
            mask |= at.WRITEABLE
            flags |= at.WRITEABLE if spec.mutated or spec.writeable else 0
        dims: list[int] = []
        for dim in spec.dims:
            if not isinstance(dim, Size):
                dims += [at.DIM_FIXED, dim]
                continue
            how = at.DIM_EQUAL if dim.number in self.bound else at.DIM_BIND
            self.bound.add(dim.number)
            dims += [how, self.sizes + dim.number]
        self._record(
            at.CHECK_ARRAY, number, self.next_input, self._keep(spec.dtype), spec.dtype.num, flags,
            spec.dtype.itemsize, self.next_range if self.range_count else 0, int(spec.mutated),
            len(spec.dims), int(spec.strides is not None), mask, *dims, *(spec.strides or ()),
        )  # fmt: skip
        self.next_range += 3

    def _check_container(self, spec: Any, nested: tuple[Any, ...], number: int) -> None:
        first = self.next_object
        self.next_object += len(nested)
        keys = [self._keep(key) for key in spec] if type(spec) is dict else []
        kind = _OPEN[type(spec)]
        self._record(kind, number, first, len(nested), *keys)
        for child_number, child in enumerate(nested, first):
            self._check(child, child_number)

    def _record(self, kind: int, *words: int) -> None:
        self.words_so_far += [kind, 8 * (2 + len(words)), *words]

    # Results

    def _returns(self) -> list[int]:
        self.words_so_far = []
        self.next_output = self.outputs
        for number, leaf in enumerate(self.signature.results):
            self._return(leaf, self.results + number)
        return self.words_so_far

    def _return(self, leaf: Any, result: int) -> None:
        if isinstance(leaf, Given):
            self._record(at.RETURN_OBJECT, result, self._keep(leaf.value))
        elif isinstance(leaf, Argument):
            self._record(at.RETURN_ARGUMENT, result, self.leaf_objects[leaf.number])
        elif isinstance(leaf, NewArray | NewScalar):
            descr = self._keep(leaf.dtype)
            if isinstance(leaf, NewArray):
                dims = [word for dim in leaf.dims for word in self._result_dim(dim)]
                shape = [descr, len(leaf.dims), int(leaf.fortran), *dims]
                self._record(at.RETURN_ARRAY, result, self.next_output, *shape)
            else:
                how = at.TO_NUMPY if leaf.type is None else _TO[leaf.type]
                value = [descr, self.next_slot, how]
                self._record(at.RETURN_SCALAR, result, self.next_output, *value)
                self.next_slot += 2
            self.next_output += 1

    def _result_dim(self, dim: Any) -> tuple[int, int]:
        if isinstance(dim, int):
            return at.DIM_FIXED, dim
        start = self.sizes if isinstance(dim, Size) else self.computed
        return at.DIM_EQUAL, start + dim.number

    def _tree(self, tree: Any) -> list[int]:
        self.words_so_far = []
        self.next_leaf = 0
        self._step(tree)
        return self.words_so_far

    def _step(self, tree: Any) -> None:
        nested = children(tree)
        if nested is None:
            number = tree.number if isinstance(tree, Again) else self.next_leaf
            self.next_leaf += 1
            self._record(at.STEP_PUSH, number)
            return
        for child in nested:
            self._step(child)
        if isinstance(tree, Rebuild):
            self._record(at.STEP_LIST, len(nested))
            self._record(at.STEP_CALL, self._keep(tree.function))
        else:
            keys = [self._keep(key) for key in tree] if type(tree) is dict else []
            self._record(_MAKE[type(tree)], len(nested), *keys)

    # What else must be as it was

    def _watches(self, watches: tuple[Any, ...]) -> list[int]:
        self.words_so_far = []
        for watch in watches:
            self._watch(watch)
        return self.words_so_far

    def _watch(self, watch: Any) -> None:
        match watch:
            case WatchWord(address, value):
                self._record(at.WATCH_WORD, address, 0, value)
            case WatchItem(space, key, value):
                where = self._keep(space), self._keep(key)
                self._record(at.WATCH_ITEM, *where, self._expected(value))
            case WatchAttribute(FunctionType() as owner, name, value) if name in at.FUNCTION_WORDS:
                address = self._keep(owner) + 8 * at.FUNCTION_WORDS[name]
                self._record(at.WATCH_WORD, address, 0, 0 if value is None else self._keep(value))
            case WatchAttribute(owner, name, value):
                where = self._keep(owner), self._keep(name)
                self._record(at.WATCH_ATTRIBUTE, *where, self._expected(value))
            case WatchCell(cell, value):
                self._record(at.WATCH_CELL, self._keep(cell), 0, self._expected(value))
            case WatchCall(function, value):
                self._record(at.WATCH_ASK, self._keep(function), 0, self._keep(value))
            case WatchContents(dict(container), value) if not value:
                self._record(at.WATCH_WORD, self._keep(container) + 8 * at.DICT_USED_WORD, 0, 0)
            case WatchContents(container, value) if isinstance(container, dict | list):
                is_dict = isinstance(container, dict)
                kind = at.WATCH_DICT if is_dict else at.WATCH_LIST
                items = chain.from_iterable(value.items()) if is_dict else value
                kept = [self._keep(item) for item in items]
                self._record(kind, self._keep(container), len(value), *kept)
            case _:
                raise TypeError(f"not a watch: {watch!r}")

    def _expected(self, value: Any) -> int:
        return 0 if value is ABSENT else self._keep(value)

    # All together

    def _write(self, sections: list[list[int]]) -> np.ndarray[Any, Any]:
        signature = self.signature
        ends = np.cumsum([at.SIGNATURE_WORDS, *map(len, sections)]) * 8
        names_at, checks_at, returns_at, tree_at, watches_at, end = map(int, ends)
        header = {
            at.S_POSITIONAL: len(signature.positional),
            at.S_KEYWORDS: len(signature.keywords),
            at.S_NAMES_AT: names_at,
            at.S_CHECKS_AT: checks_at,
            at.S_CHECKS_END: returns_at,
            at.S_RETURNS_AT: returns_at,
            at.S_RETURNS_END: tree_at,
            at.S_TREE_AT: tree_at,
            at.S_TREE_END: watches_at,
            at.S_WATCHES_AT: watches_at,
            at.S_WATCHES_END: end,
            at.S_FRAME_WORDS: self.frame_words,
            at.S_INPUTS: self.inputs,
            at.S_OUTPUTS: self.outputs,
            at.S_SIZES: self.sizes,
            at.S_COMPUTED: self.computed,
            at.S_RANGES: self.ranges,
            at.S_RANGE_COUNT: self.range_count,
            at.S_SHAPE: self.shape,
            at.S_RESULTS: self.results,
            at.S_RESULT_COUNT: len(signature.results),
            at.S_STACK: self.stack,
            at.S_RUN: signature.run,
            at.S_GUARD: signature.guard,
            at.S_DIMS: signature.dims,
            at.S_FAILED: self._keep(signature.raise_failed),
            at.S_GIL_LIMIT: signature.gil_limit,
        }
        words = [header[i] for i in range(at.SIGNATURE_WORDS)]
        return np.array([*words, *chain.from_iterable(sections)], np.int64)


def _count_objects(tree: Any) -> int:
    """The tree's nodes and leaves."""
    return 1 + sum(map(_count_objects, children(tree) or ()))


def _how_same(spec: Static) -> int:
    if spec.equal or type(spec.value) in (int, str, bytes):
        return at.SAME_VALUE
    return at.SAME_BITS if type(spec.value) is float else at.SAME_OBJECT


_OPEN = {tuple: at.CHECK_TUPLE, list: at.CHECK_LIST, dict: at.CHECK_DICT}
_MAKE = {tuple: at.STEP_TUPLE, list: at.STEP_LIST, dict: at.STEP_DICT}
_FROM = {
    float: at.FROM_FLOAT, complex: at.FROM_COMPLEX, int: at.FROM_INT, bool: at.FROM_BOOL
}  # fmt: skip
_TO = {float: at.TO_FLOAT, complex: at.TO_COMPLEX, int: at.TO_INT, bool: at.TO_BOOL}
assert set(_FROM) < set(SCALAR_DTYPES)
