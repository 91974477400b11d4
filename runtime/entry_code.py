"""The native side of a call: match a signature, run its kernel, build the result.

This is compiled by `entry_language`, never run as Python. A call that fits no signature goes to
Python's ``miss``. Objects are borrowed unless said otherwise; the GIL is held but inside `launch`.
"""

from __future__ import annotations

from typing import Any

from . import entry_layout as at
from .entry_language import byte, call, double, int32, stack, store, store8, store_double, word

api: Any = None  # CPython's and NumPy's functions and objects

EXTERNALS = {
    "Py_IncRef": "vw",
    "Py_DecRef": "vw",
    "PyObject_RichCompareBool": "iwwi",
    "PyObject_Call": "wwww",
    "PyErr_Clear": "v",
    "PyErr_Occurred": "w",
    "PyEval_SaveThread": "w",
    "PyEval_RestoreThread": "vw",
    "PyTuple_New": "ww",
    "PyTuple_Size": "ww",
    "PyTuple_GetItem": "www",
    "PyTuple_SetItem": "iwww",
    "PyList_New": "ww",
    "PyList_Size": "ww",
    "PyList_GetItem": "www",
    "PyList_SetItem": "iwww",
    "PyDict_New": "w",
    "PyDict_Size": "ww",
    "PyDict_Next": "iwwww",
    "PyDict_SetItem": "iwww",
    "PyFloat_AsDouble": "dw",
    "PyFloat_FromDouble": "wd",
    "PyComplex_RealAsDouble": "dw",
    "PyComplex_ImagAsDouble": "dw",
    "PyComplex_FromDoubles": "wdd",
    "PyLong_AsLongLongAndOverflow": "www",
    "PyLong_FromLongLong": "ww",
    "PyBool_FromLong": "ww",
    "PyArray_NewFromDescr": "wwwiwwwiw",
    "PyArray_Scalar": "wwww",
    "PyArray_ScalarAsCtype": "vww",
}
ADDRESSES = ("ndarray_type", "tuple_type", "list_type", "dict_type", "true_object")

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


def call_python(function: int, arguments: int, count: int, names: int) -> int:
    """A Python function's result for these arguments, or 0.

    Before Python 3.11 there is no PyObject_Vectorcall to be called by address.
    """
    positional = api.PyTuple_New(count)
    if positional == 0:
        return 0
    for i in range(count):
        api.Py_IncRef(word(arguments, i))  # the tuple takes it
        api.PyTuple_SetItem(positional, i, word(arguments, i))
    result = 0
    keywords = 0
    if names != 0:
        keywords = named(arguments + 8 * count, names)
    if names == 0 or keywords != 0:
        result = api.PyObject_Call(function, positional, keywords)
    api.Py_DecRef(positional)
    api.Py_DecRef(keywords)
    return result


def named(values: int, names: int) -> int:
    """A dict, or 0."""
    keywords = api.PyDict_New()
    for i in range(api.PyTuple_Size(names)):
        name = api.PyTuple_GetItem(names, i)
        if keywords != 0 and api.PyDict_SetItem(keywords, name, word(values, i)) < 0:
            api.Py_DecRef(keywords)
            keywords = 0
    return keywords


def call_with(function: int, argument: int) -> int:
    """A Python function's result for one argument, or 0."""
    place = stack(1)
    store(place, 0, argument)
    return call_python(function, place, 1, 0)


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
    return guard == 0 or call(guard, frame + 8 * word(signature, at.S_SIZES)) == 0


def check_array(record: int, value: int, frame: int) -> int:
    if word(value, at.OB_TYPE) != api.ndarray_type:
        return 0
    descr = word(value, at.ARRAY_DESCR)
    if descr != word(record, at.A_DESCR) and not same_dtype(descr, word(record, at.A_NUMBER)):
        return 0
    flags = word(record, at.A_FLAGS)
    if (int32(value + at.ARRAY_FLAGS_BYTE) & flags) != flags:
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


def execute(signature: int, frame: int) -> int:
    """Run the kernel: a new reference, or 0 with an exception set."""
    results = frame + 8 * word(signature, at.S_RESULTS)
    count = word(signature, at.S_RESULT_COUNT)
    for i in range(count):
        store(results, i, 0)
    value = 0
    if allocate(signature, frame):
        code = launch(signature, frame)
        if code != 0:
            fail(signature, code)
        elif finish(signature, frame):
            value = build(signature, frame)
    for i in range(count):
        api.Py_DecRef(word(results, i))
    return value


def allocate(signature: int, frame: int) -> int:
    """Make the result arrays and say where the kernel writes."""
    dims = word(signature, at.S_DIMS)
    if dims != 0:
        call(
            dims,
            frame + 8 * word(signature, at.S_SIZES),
            frame + 8 * word(signature, at.S_COMPUTED),
        )
    record = signature + word(signature, at.S_RETURNS_AT)
    end = signature + word(signature, at.S_RETURNS_END)
    while record < end:
        kind = word(record, at.R_KIND)
        if kind == at.RETURN_ARRAY:
            if not new_array(record, frame, frame + 8 * word(signature, at.S_SHAPE)):
                return 0
        elif kind == at.RETURN_SCALAR:
            store(frame, word(record, at.O_OUTPUT), frame + 8 * word(record, at.V_SLOT))
        record += word(record, at.R_BYTES)
    return 1


def new_array(record: int, frame: int, shape: int) -> int:
    nd = word(record, at.O_ND)
    dims = record + 8 * at.O_DIMS
    elements = 1
    for axis in range(nd):
        length = word(dims, 1)
        if word(dims, 0) != at.DIM_FIXED:
            length = word(frame, length)
        store(shape, axis, length)
        elements = elements * length
        dims += 16
    descr = word(record, at.O_DESCR)
    api.Py_IncRef(descr)  # the next call takes it
    array = api.PyArray_NewFromDescr(api.ndarray_type, descr, nd, shape, 0, 0, 0, 0)
    if array == 0:
        return 0
    store(frame, word(record, at.R_RESULT), array)
    store(frame, word(record, at.O_OUTPUT), word(array, at.ARRAY_DATA))
    store(frame, at.F_WORK, word(frame, at.F_WORK) + elements)
    return 1


def launch(signature: int, frame: int) -> int:
    """The kernel's return code; large work lets other Python threads run."""
    inputs = frame + 8 * word(signature, at.S_INPUTS)
    outputs = frame + 8 * word(signature, at.S_OUTPUTS)
    sizes = frame + 8 * word(signature, at.S_SIZES)
    if word(frame, at.F_WORK) <= word(signature, at.S_GIL_LIMIT):
        return call(word(signature, at.S_RUN), inputs, outputs, sizes)
    thread = api.PyEval_SaveThread()
    code = call(word(signature, at.S_RUN), inputs, outputs, sizes)
    api.PyEval_RestoreThread(thread)
    return code


def fail(signature: int, code: int) -> None:
    """Have an exception set: the one the kernel's own callback raised, or what Python makes."""
    if api.PyErr_Occurred() == 0:
        number = api.PyLong_FromLongLong(code)
        if number != 0:
            api.Py_DecRef(call_with(word(signature, at.S_FAILED), number))
            api.Py_DecRef(number)


def finish(signature: int, frame: int) -> int:
    """Make the results that are no arrays."""
    record = signature + word(signature, at.S_RETURNS_AT)
    end = signature + word(signature, at.S_RETURNS_END)
    while record < end:
        kind = word(record, at.R_KIND)
        if kind != at.RETURN_ARRAY:
            if kind == at.RETURN_SCALAR:
                value = new_scalar(record, frame)
            else:
                value = word(record, at.K_VALUE)
                if kind == at.RETURN_ARGUMENT:
                    value = word(frame, at.F_OBJECTS + value)
                api.Py_IncRef(value)
            if value == 0:
                return 0
            store(frame, word(record, at.R_RESULT), value)
        record += word(record, at.R_BYTES)
    return 1


def new_scalar(record: int, frame: int) -> int:
    slot = frame + 8 * word(record, at.V_SLOT)
    how = word(record, at.V_HOW)
    if how == at.TO_NUMPY:
        return api.PyArray_Scalar(slot, word(record, at.O_DESCR), 0)
    if how == at.TO_FLOAT:
        return api.PyFloat_FromDouble(double(slot))
    if how == at.TO_COMPLEX:
        return api.PyComplex_FromDoubles(double(slot), double(slot + 8))
    if how == at.TO_INT:
        return api.PyLong_FromLongLong(word(slot))
    return api.PyBool_FromLong(byte(slot))


def build(signature: int, frame: int) -> int:
    """The result tree, made on a stack whose entries hold references; 0 if that failed."""
    results = frame + 8 * word(signature, at.S_RESULTS)
    base = frame + 8 * word(signature, at.S_STACK)
    step = signature + word(signature, at.S_TREE_AT)
    end = signature + word(signature, at.S_TREE_END)
    top = 0
    while step < end:
        kind = word(step, at.R_KIND)
        if kind == at.STEP_PUSH:
            value = word(results, word(step, at.B_VALUE))
            api.Py_IncRef(value)
        elif kind == at.STEP_CALL:
            top -= 1
            children = word(base, top)
            value = call_with(word(step, at.B_VALUE), children)
            api.Py_DecRef(children)
        else:
            top -= word(step, at.B_VALUE)
            value = gather(kind, base + 8 * top, word(step, at.B_VALUE), step + 8 * at.B_KEYS)
        if value == 0:
            for i in range(top):
                api.Py_DecRef(word(base, i))
            return 0
        store(base, top, value)
        top += 1
        step += word(step, at.R_BYTES)
    return word(base, 0)


def gather(kind: int, children: int, count: int, keys: int) -> int:
    """A container of children whose references it takes, also when it fails."""
    if kind == at.STEP_TUPLE:
        value = api.PyTuple_New(count)
    elif kind == at.STEP_LIST:
        value = api.PyList_New(count)
    else:
        value = api.PyDict_New()
    for i in range(count):
        child = word(children, i)
        if value == 0:
            api.Py_DecRef(child)
        elif kind == at.STEP_TUPLE:
            api.PyTuple_SetItem(value, i, child)
        elif kind == at.STEP_LIST:
            api.PyList_SetItem(value, i, child)
        else:
            if api.PyDict_SetItem(value, word(keys, i), child) < 0:
                api.Py_DecRef(value)
                value = 0
            api.Py_DecRef(child)
    return value
