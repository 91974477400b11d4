"""The native side of a call: find the signature that fits the arguments.

This and `entry_results` are compiled by `entry_language`, never run as Python. A call that fits no
signature goes to Python's ``miss``. Objects are borrowed unless said otherwise; the GIL is held but
inside `launch`.
"""

from __future__ import annotations

from typing import Any

from . import entry_layout as at
from .entry_language import byte, call, int32, stack, store, store8, store_double, word
from .entry_results import call_python, execute

api: Any = None  # CPython's and NumPy's functions and objects

MISSED = 1  # as a result: no object has this address, and 0 is an error
EQUAL = 2  # Py_EQ


def enter(self: int, arguments: int, flagged_count: int, names: int) -> int:
    """The callable's vectorcall: a new reference, or 0 with an exception set."""
    count = flagged_count & 0x7FFFFFFFFFFFFFFF  # a flag of the protocol is the top bit
    table = word(self, at.TABLE_WORD)
    owner = word(table, at.T_OWNER)
    api.Py_IncRef(owner)
    signatures = word(table, at.T_COUNT)
    hot = word(table, at.T_HOT)
    result = MISSED
    if signatures > 0:
        result = attempt(word(table, at.T_FIRST + hot), arguments, count, names)
    tried = 0
    while result == MISSED and tried < signatures:
        if tried != hot:
            result = attempt(word(table, at.T_FIRST + tried), arguments, count, names)
            if result != MISSED:
                store(table, at.T_HOT, tried)
        tried += 1
    if result == MISSED:
        result = call_python(word(table, at.T_MISS), arguments, count, names)
    api.Py_DecRef(owner)
    return result


def attempt(signature: int, arguments: int, count: int, names: int) -> int:
    """Call the signature's kernel if it takes these arguments, else MISSED."""
    if count != word(signature, at.S_POSITIONAL):
        return MISSED
    keywords = 0
    if names != 0:
        keywords = api.PyTuple_Size(names)
    if keywords != word(signature, at.S_KEYWORDS):
        return MISSED
    expected = signature + word(signature, at.S_NAMES_AT)
    for i in range(keywords):
        if not same(api.PyTuple_GetItem(names, i), word(expected, i), at.SAME_VALUE):
            return MISSED
    frame = stack(word(signature, at.S_FRAME_WORDS))
    total = count + keywords
    for i in range(total):
        store(frame, at.F_OBJECTS + i, word(arguments, i))
    store(frame, at.F_HELD, total)
    store(frame, at.F_WORK, 0)
    result = MISSED
    if bind(signature, frame):
        result = execute(signature, frame)
    for i in range(total, word(frame, at.F_HELD)):
        api.Py_DecRef(word(frame, at.F_OBJECTS + i))
    return result


def bind(signature: int, frame: int) -> int:
    """1 if all checks pass; the frame then holds inputs and sizes."""
    record = signature + word(signature, at.S_CHECKS_AT)
    end = signature + word(signature, at.S_CHECKS_END)
    while record < end:
        value = word(frame, at.F_OBJECTS + word(record, at.R_OBJECT))
        kind = word(record, at.R_KIND)
        if kind == at.CHECK_ARRAY:
            fits = check_array(record, value, frame)
        elif kind == at.CHECK_STATIC:
            fits = same(value, word(record, at.C_VALUE), word(record, at.C_HOW))
        elif kind == at.CHECK_SCALAR:
            fits = check_scalar(record, value, frame)
        elif kind == at.CHECK_TUPLE:
            fits = open_tuple(record, value, frame)
        elif kind == at.CHECK_LIST:
            fits = open_list(record, value, frame)
        else:
            fits = open_dict(record, value, frame)
        if not fits:
            return 0
        record += word(record, at.R_BYTES)
    if word(signature, at.S_RANGE_COUNT) > 0 and overlapping(signature, frame):
        return 0
    guard = word(signature, at.S_GUARD)
    if guard != 0 and call(guard, frame + 8 * word(signature, at.S_SIZES)) != 0:
        return 0
    record = signature + word(signature, at.S_WATCHES_AT)
    end = signature + word(signature, at.S_WATCHES_END)
    while record < end:
        if not unchanged(record):
            return 0
        record += word(record, at.R_BYTES)
    return 1


def unchanged(record: int) -> int:
    """Is what the function reads besides its arguments as it was?"""
    kind = word(record, at.R_KIND)
    place = word(record, at.W_OBJECT)
    if kind == at.WATCH_WORD:
        return word(place) == word(record, at.W_VALUE)
    if kind == at.WATCH_LIST:
        return same_list(place, word(record, at.W_COUNT), record + 8 * at.W_ITEMS)
    if kind == at.WATCH_DICT:
        return same_dict(place, word(record, at.W_COUNT), record + 8 * at.W_ITEMS)
    if kind == at.WATCH_ITEM:
        found = api.PyDict_GetItemWithError(place, word(record, at.W_KEY))
    elif kind == at.WATCH_CELL:
        found = api.PyCell_Get(place)
    elif kind == at.WATCH_ATTRIBUTE:
        found = api.PyObject_GetAttr(place, word(record, at.W_KEY))
    else:
        found = call_python(place, 0, 0, 0)
    if found == 0:
        api.PyErr_Clear()
    elif kind != at.WATCH_ITEM:  # the others give a reference
        api.Py_DecRef(found)
    return found == word(record, at.W_VALUE)


def same_list(value: int, count: int, items: int) -> int:
    if api.PyList_Size(value) != count:
        return 0
    for i in range(count):
        if api.PyList_GetItem(value, i) != word(items, i):
            return 0
    return 1


def same_dict(value: int, count: int, items: int) -> int:
    if api.PyDict_Size(value) != count:
        return 0
    place = stack(3)  # position, key, value
    store(place, 0, 0)
    for i in range(count):
        if not api.PyDict_Next(value, place, place + 8, place + 16):
            return 0
        if word(place, 1) != word(items, 2 * i) or word(place, 2) != word(items, 2 * i + 1):
            return 0
    return 1


def check_array(record: int, value: int, frame: int) -> int:
    if word(value, at.OB_TYPE) != api.ndarray_type:
        return 0
    descr = word(value, at.ARRAY_DESCR)
    if descr != word(record, at.A_DESCR) and not same_dtype(descr, word(record, at.A_NUMBER)):
        return 0
    flags = int32(value + at.ARRAY_FLAGS_BYTE) & word(record, at.A_MASK)
    if flags != word(record, at.A_FLAGS):
        return 0
    nd = word(record, at.A_ND)
    if int32(value + at.ARRAY_ND_BYTE) != nd:
        return 0
    shape = word(value, at.ARRAY_SHAPE)
    dims = record + 8 * at.A_DIMS
    elements = 1
    for axis in range(nd):
        length = word(shape, axis)
        how = word(dims, 0)
        if how == at.DIM_FIXED:
            if length != word(dims, 1):
                return 0
        elif how == at.DIM_BIND:
            store(frame, word(dims, 1), length)
        elif length != word(frame, word(dims, 1)):
            return 0
        elements = elements * length
        dims += 16
    if word(record, at.A_STRIDED):
        strides = word(value, at.ARRAY_STRIDES)
        for axis in range(nd):
            if word(strides, axis) != word(dims, axis):
                return 0
    data = word(value, at.ARRAY_DATA)
    store(frame, word(record, at.A_INPUT), data)
    store(frame, at.F_WORK, word(frame, at.F_WORK) + elements)
    where = word(record, at.A_RANGE)
    if where != 0:
        store(frame, where, data)
        store(frame, where + 1, data + elements * word(record, at.A_ITEMSIZE))
        store(frame, where + 2, word(record, at.A_MUTATED))
    return 1


def same_dtype(descr: int, number: int) -> int:
    """Not the dtype's one object, but the dtype: it may carry metadata."""
    order = byte(descr + at.DESCR_BYTEORDER_BYTE)
    if order != at.ORDER_NATIVE and order != at.ORDER_NONE:
        return 0
    return int32(descr + at.DESCR_NUMBER_BYTE) == number


def overlapping(signature: int, frame: int) -> int:
    """Does a mutated array share memory with another?"""
    ranges = frame + 8 * word(signature, at.S_RANGES)
    count = word(signature, at.S_RANGE_COUNT)
    for i in range(count):
        one = ranges + 24 * i
        if word(one, 2):
            for j in range(count):
                other = ranges + 24 * j
                if i != j and word(one, 0) < word(other, 1) and word(other, 0) < word(one, 1):
                    return 1
    return 0


def same(value: int, expected: int, how: int) -> int:
    if value == expected:
        return 1
    if how == at.SAME_OBJECT or word(value, at.OB_TYPE) != word(expected, at.OB_TYPE):
        return 0
    if how == at.SAME_BITS:
        bits = stack(2)
        store_double(bits, api.PyFloat_AsDouble(value))
        store_double(bits + 8, api.PyFloat_AsDouble(expected))
        return word(bits, 0) == word(bits, 1)
    equal = api.PyObject_RichCompareBool(value, expected, EQUAL)
    if equal < 0:  # Python's way meets it again, and raises it
        api.PyErr_Clear()
        return 0
    return equal


def check_scalar(record: int, value: int, frame: int) -> int:
    if word(value, at.OB_TYPE) != word(record, at.X_TYPE):
        return 0
    slot = frame + 8 * word(record, at.X_SLOT)
    how = word(record, at.X_HOW)
    if how == at.FROM_FLOAT:
        store_double(slot, api.PyFloat_AsDouble(value))
    elif how == at.FROM_COMPLEX:
        store_double(slot, api.PyComplex_RealAsDouble(value))
        store_double(slot + 8, api.PyComplex_ImagAsDouble(value))
    elif how == at.FROM_INT:
        overflow = stack(1)
        store(overflow, 0, 0)
        store(slot, 0, api.PyLong_AsLongLongAndOverflow(value, overflow))
        if int32(overflow) != 0:
            return 0
    elif how == at.FROM_BOOL:
        store8(slot, value == api.true_object)
    else:
        api.PyArray_ScalarAsCtype(value, slot)
    store(frame, word(record, at.X_INPUT), slot)
    return 1


def hold(frame: int, number: int, value: int) -> None:
    """Another thread may change a list or dict while the kernel runs."""
    api.Py_IncRef(value)
    store(frame, at.F_OBJECTS + number, value)
    store(frame, at.F_HELD, number + 1)


def open_tuple(record: int, value: int, frame: int) -> int:
    count = word(record, at.N_COUNT)
    if word(value, at.OB_TYPE) != api.tuple_type or api.PyTuple_Size(value) != count:
        return 0
    for i in range(count):
        hold(frame, word(record, at.N_FIRST) + i, api.PyTuple_GetItem(value, i))
    return 1


def open_list(record: int, value: int, frame: int) -> int:
    count = word(record, at.N_COUNT)
    if word(value, at.OB_TYPE) != api.list_type or api.PyList_Size(value) != count:
        return 0
    for i in range(count):
        hold(frame, word(record, at.N_FIRST) + i, api.PyList_GetItem(value, i))
    return 1


def open_dict(record: int, value: int, frame: int) -> int:
    """The same keys in the same order: a function may see the order."""
    count = word(record, at.N_COUNT)
    if word(value, at.OB_TYPE) != api.dict_type or api.PyDict_Size(value) != count:
        return 0
    place = stack(3)  # position, key, value
    store(place, 0, 0)
    keys = record + 8 * at.N_KEYS
    for i in range(count):
        if not api.PyDict_Next(value, place, place + 8, place + 16):
            return 0
        hold(frame, word(record, at.N_FIRST) + i, word(place, 2))
        if not same(word(place, 1), word(keys, i), at.SAME_VALUE):
            return 0
    return 1
