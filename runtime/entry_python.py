"""The call path in Python: the meaning of `entry_code`, for interpreters that cannot run that."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from .entry_signature import (
    ABSENT,
    SCALAR_DTYPES,
    Again,
    Argument,
    Array,
    Computed,
    Given,
    NewArray,
    NewScalar,
    Rebuild,
    Scalar,
    Signature,
    Size,
    Static,
    WatchAttribute,
    WatchCell,
    WatchContents,
    WatchItem,
    WatchWord,
    children,
)

MISSED: Any = object()

# With the GIL, which a kernel that calls back into Python needs, and without.
_KERNELS = [
    make(ctypes.c_int32, *3 * [ctypes.c_void_p]) for make in (ctypes.PYFUNCTYPE, ctypes.CFUNCTYPE)
]
_GUARD = ctypes.PYFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)
_DIMS = ctypes.PYFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
_AS_IT_IS = (int, str, bytes)  # types whose equality tells all


def call(signature: Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """The signature's result, or `MISSED` where it does not take these arguments."""
    given = (*signature.positional, *signature.keywords.values())
    if len(args) != len(signature.positional) or tuple(kwargs) != tuple(signature.keywords):
        return MISSED
    leaves: list[Any] = []
    if not _open_all(given, (*args, *kwargs.values()), leaves):
        return MISSED
    sizes = np.zeros(signature.symbols + 1, np.int64)
    inputs = _bind(signature, leaves, sizes)
    if inputs is None:
        return MISSED
    return _execute(signature, leaves, inputs, sizes)


def _open_all(specs: Any, values: Any, leaves: list[Any]) -> bool:
    return all(_open(spec, value, leaves) for spec, value in zip(specs, values, strict=True))


def _open(spec: Any, value: Any, leaves: list[Any]) -> bool:
    """Append the value's leaves; False where its containers differ."""
    nested = children(spec)
    if nested is None:
        leaves.append(value)
        return True
    if type(value) is not type(spec) or len(value) != len(spec):
        return False
    if type(value) is dict:
        if not all(_equal(a, b) for a, b in zip(value, spec, strict=True)):
            return False
        value = value.values()
    return _open_all(nested, value, leaves)


def _bind(signature: Signature, leaves: list[Any], sizes: Any) -> list[Any] | None:
    """The arrays the kernel reads, scalars as arrays; fills ``sizes``. None where one misfits."""
    inputs: list[Any] = []
    bound: set[int] = set()
    for spec, value in zip(signature.arguments, leaves, strict=True):
        if isinstance(spec, Static):
            if not _same(spec, value):
                return None
        elif isinstance(spec, Array):
            if not _fits(spec, value, bound, sizes):
                return None
            inputs.append(value)
        elif type(value) is not spec.type or not _in_range(spec, value):
            return None
        else:
            inputs.append(np.array(value, SCALAR_DTYPES[spec.type]))
    if _overlap(signature, inputs):
        return None
    if signature.guard and _GUARD(signature.guard)(sizes.ctypes.data) != 0:
        return None
    return inputs if all(map(_unchanged, signature.watches)) else None


def _unchanged(watch: Any) -> bool:
    match watch:
        case WatchWord(address, value):
            return ctypes.c_int64.from_address(address).value == value
        case WatchItem(space, key, value):
            return space.get(key, ABSENT) is value
        case WatchAttribute(owner, name, value):
            return getattr(owner, name, ABSENT) is value
        case WatchCell(cell, value):
            return _cell_contents(cell) is value
        case WatchContents(container, value):
            return _flat(container) == _flat(value)
    try:
        return watch.function() is watch.value
    except Exception:  # noqa: BLE001 - as the native path does
        return False


def _cell_contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return ABSENT


def _flat(container: Any) -> list[int]:
    """The identities of a list's items, of a dict's keys and values."""
    if isinstance(container, dict):
        return [id(x) for pair in container.items() for x in pair]
    return list(map(id, container))


def _same(spec: Static, value: Any) -> bool:
    if spec.weak:
        return value is not None and value is spec.value()
    if value is spec.value or type(value) is not type(spec.value):
        return value is spec.value
    if type(value) is float:
        return struct.pack("d", value) == struct.pack("d", spec.value)
    return (spec.equal or type(value) in _AS_IT_IS) and _equal(value, spec.value)


def _equal(value: Any, expected: Any) -> bool:
    if value is expected or type(value) is not type(expected):
        return value is expected
    try:
        return bool(value == expected)
    except Exception:  # noqa: BLE001 - the caller's own comparison meets it again
        return False


def _in_range(spec: Scalar, value: Any) -> bool:
    return spec.type is not int or -(2**63) <= value < 2**63


def _fits(spec: Array, value: Any, bound: set[int], sizes: Any) -> bool:
    if type(value) is not np.ndarray or value.ndim != len(spec.dims):
        return False
    if value.dtype.num != spec.dtype.num or not value.dtype.isnative:
        return False
    lies = value.flags.f_contiguous if spec.fortran else value.flags.c_contiguous
    if spec.strides is not None:
        lies = value.strides == spec.strides
    if not (lies and value.flags.aligned):
        return False
    wanted = True if spec.mutated else spec.writeable
    if wanted is not None and wanted != value.flags.writeable:
        return False
    for dim, length in zip(spec.dims, value.shape, strict=True):
        if isinstance(dim, Size):
            if dim.number not in bound:
                bound.add(dim.number)
                sizes[dim.number] = length
            dim = int(sizes[dim.number])
        if dim != length:
            return False
    return True


def _overlap(signature: Signature, inputs: list[Any]) -> bool:
    specs = [spec for spec in signature.arguments if not isinstance(spec, Static)]
    pairs = [pair for pair in zip(specs, inputs, strict=True) if isinstance(pair[0], Array)]
    return any(
        i != j and one.mutated and np.may_share_memory(a, b)
        for i, (one, a) in enumerate(pairs)
        for j, (_, b) in enumerate(pairs)
    )


def _execute(signature: Signature, leaves: list[Any], inputs: list[Any], sizes: Any) -> Any:
    computed = np.zeros(signature.computed + 1, np.int64)
    if signature.dims:
        _DIMS(signature.dims)(sizes.ctypes.data, computed.ctypes.data)
    outputs = [
        np.empty(
            [_length(dim, sizes, computed) for dim in getattr(leaf, "dims", ())],
            leaf.dtype,
            "F" if getattr(leaf, "fortran", False) else "C",
        )
        for leaf in signature.results
        if isinstance(leaf, NewArray | NewScalar)
    ]
    _run(signature, inputs, outputs, sizes)
    pending = iter(outputs)
    results = [_result(leaf, leaves, pending) for leaf in signature.results]
    for i, leaf in enumerate(signature.results):
        if isinstance(leaf, Again):
            results[i] = results[leaf.number]
    return _build(signature.result, iter(results))


def _run(signature: Signature, inputs: list[Any], outputs: list[Any], sizes: Any) -> None:
    work = sum(array.size for array in (*inputs, *outputs))
    kernel = _KERNELS[work > signature.gil_limit](signature.run)
    addresses = [
        np.array([array.ctypes.data for array in arrays] + [0], np.uint64)
        for arrays in (inputs, outputs)
    ]
    code = kernel(addresses[0].ctypes.data, addresses[1].ctypes.data, sizes.ctypes.data)
    if code != 0:
        signature.raise_failed(code)


def _length(dim: Any, sizes: Any, computed: Any) -> int:
    if isinstance(dim, int):
        return dim
    return int((computed if isinstance(dim, Computed) else sizes)[dim.number])


def _result(leaf: Any, leaves: list[Any], outputs: Any) -> Any:
    match leaf:
        case NewArray():
            return next(outputs)
        case NewScalar():
            value = next(outputs)[()]
            return value if leaf.type is None else value.item()
        case Given():
            return leaf.value
        case Argument():
            return leaves[leaf.number]
    return None


def _build(tree: Any, results: Any) -> Any:
    nested = children(tree)
    if nested is None:
        return next(results)
    made = [_build(child, results) for child in nested]
    if isinstance(tree, Rebuild):
        return tree.function(made)
    return dict(zip(tree, made, strict=True)) if type(tree) is dict else type(tree)(made)
