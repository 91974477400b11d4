"""The native side of a call: run the signature's kernel and build the result.

The second half of `entry_code`, compiled together with it.
"""

from __future__ import annotations

from typing import Any

from . import entry_layout as at
from .entry_language import byte, call, double, stack, store, word

api: Any = None  # CPython's and NumPy's functions and objects


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
    order = word(record, at.O_FORTRAN)
    array = api.PyArray_NewFromDescr(api.ndarray_type, descr, nd, shape, 0, 0, order, 0)
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
