"""Where the native call path finds things: fields of structs and of signatures, as word offsets."""

from __future__ import annotations

import ctypes
import sys
import weakref
from typing import Any

# CPython: every object is a reference count and a type.
OB_TYPE = 1
HEAD_BYTES = 16

# The callable: after the head, what its type calls, and the table of its signatures.
VECTORCALL_WORD = 2
TABLE_WORD = 3
CALLABLE_BYTES = 32

# NumPy's array struct, the same in all 2.x: words, but `nd` and `flags` are 32-bit (bytes).
ARRAY_DATA = 2
ARRAY_ND_BYTE = 24
ARRAY_SHAPE = 4
ARRAY_STRIDES = 5
ARRAY_DESCR = 7
ARRAY_FLAGS_BYTE = 64
C_CONTIGUOUS = 0x1
F_CONTIGUOUS = 0x2
ALIGNED = 0x100
WRITEABLE = 0x400

# NumPy's dtype struct (bytes).
DESCR_BYTEORDER_BYTE = 26
DESCR_NUMBER_BYTE = 28
ORDER_NATIVE = ord("=")
ORDER_NONE = ord("|")

# A table: never changed but for HOT, which only says where to look first. OWNER is the Python
# object that keeps the table and all it points to alive.
T_OWNER = 0
T_MISS = 1
T_HOT = 2
T_COUNT = 3
T_FIRST = 4  # the signatures' addresses

# A signature. "At" fields are bytes from the signature's start; "frame" fields count words from
# the start of the frame, the memory of one call.
S_POSITIONAL = 0  # numbers of arguments
S_KEYWORDS = 1
S_NAMES_AT = 2
S_CHECKS_AT = 3
S_CHECKS_END = 4
S_RETURNS_AT = 5
S_RETURNS_END = 6
S_TREE_AT = 7
S_TREE_END = 8
S_FRAME_WORDS = 9
S_INPUTS = 10  # frame: addresses of inputs, of outputs, values of symbols, of computed sizes
S_OUTPUTS = 11
S_SIZES = 12
S_COMPUTED = 13
S_RANGES = 14  # frame: begin, end, mutated? of each array, where one is mutated
S_RANGE_COUNT = 15
S_SHAPE = 16  # frame: scratch for a result's shape
S_RESULTS = 17  # frame: the results
S_RESULT_COUNT = 18
S_STACK = 19  # frame: scratch for building the result tree
S_RUN = 20  # functions' addresses; 0 where there is none
S_GUARD = 21
S_DIMS = 22
S_FAILED = 23  # the Python function to call with a non-zero code
S_GIL_LIMIT = 24  # with more elements than this the GIL is released
S_WATCHES_AT = 25
S_WATCHES_END = 26
SIGNATURE_WORDS = 27

# A frame begins with these; objects are arguments and what containers hold.
F_HELD = 0  # objects in the frame; those beyond the arguments hold a reference
F_WORK = 1  # elements of all arrays
F_OBJECTS = 2

# Records: what kind, how many bytes, and then what the kind needs.
R_KIND = 0
R_BYTES = 1

# Checks
R_OBJECT = 2  # which object of the frame
CHECK_ARRAY, CHECK_STATIC, CHECK_SCALAR, CHECK_TUPLE, CHECK_LIST, CHECK_DICT = range(6)
A_INPUT = 3  # frame: where the data's address goes
A_DESCR = 4
A_NUMBER = 5
A_FLAGS = 6
A_ITEMSIZE = 7
A_RANGE = 8  # frame: where begin and end go; 0 for nowhere
A_MUTATED = 9
A_ND = 10
A_STRIDED = 11  # whether strides follow the lengths
A_MASK = 12  # which flags have to be as A_FLAGS says
A_DIMS = 13  # pairs: how, and the length or where in the frame the length is
DIM_FIXED, DIM_BIND, DIM_EQUAL = range(3)
C_VALUE = 3  # static: the expected object
C_HOW = 4
SAME_OBJECT, SAME_VALUE, SAME_BITS = range(3)
X_INPUT = 3  # scalar: where the address goes, where the value goes, its exact type
X_SLOT = 4
X_TYPE = 5
X_HOW = 6
FROM_FLOAT, FROM_COMPLEX, FROM_INT, FROM_BOOL, FROM_NUMPY = range(5)
N_FIRST = 3  # containers: the number of the first child, how many, a dict's keys
N_COUNT = 4
N_KEYS = 5

# Watches
W_OBJECT = 2  # what is looked at; a word's address
W_KEY = 3  # of an item, of an attribute
W_VALUE = 4  # what must be found; 0 where nothing must be
W_COUNT = 3  # of a list or dict; then its items, or keys and values in turn
W_ITEMS = 4
WATCH_WORD, WATCH_ITEM, WATCH_ATTRIBUTE, WATCH_CELL, WATCH_LIST, WATCH_DICT, WATCH_ASK = range(7)

# Results
R_RESULT = 2  # frame: where the object goes
RETURN_ARRAY, RETURN_SCALAR, RETURN_OBJECT, RETURN_ARGUMENT = range(4)
O_OUTPUT = 3  # frame: where the address goes
O_DESCR = 4
O_ND = 5
O_FORTRAN = 6  # whether in Fortran order
O_DIMS = 7  # pairs, as above
V_SLOT = 5  # scalar: frame, the value
V_HOW = 6
TO_FLOAT, TO_COMPLEX, TO_INT, TO_BOOL, TO_NUMPY = range(5)
K_VALUE = 3  # the object; the number of the object in the frame

# Steps that build the result on a stack
STEP_PUSH, STEP_TUPLE, STEP_LIST, STEP_DICT, STEP_CALL = range(5)
B_VALUE = 2  # which result; how many children; the function to call with a list
B_KEYS = 3

DICT_USED_WORD = 2  # of a dict: its number of items


def _places(owner: Any, value: Any) -> list[int]:
    """The words of an object that are the address of another."""
    if sys.implementation.name != "cpython":
        return []
    words = (ctypes.c_uint64 * (type(owner).__basicsize__ // 8)).from_address(id(owner))
    return [i for i, word in enumerate(words) if word == id(value)]


def _function_words() -> dict[str, int]:
    """Where in a function object its parts are, 0 for None; without those that are not found."""

    def example(a: int = 0, *, b: int = 0) -> None: ...

    names = ("__code__", "__defaults__", "__kwdefaults__")
    found = {name: _places(example, getattr(example, name)) for name in names}
    example.__defaults__ = example.__kwdefaults__ = None
    empty = _places(example, None)
    return {name: at[0] for name, at in found.items() if len(at) == 1 and at[0] not in empty}


def _referent_word() -> int:
    """Where in a weak reference its object is, None if it is dead; 0 if that is not known."""
    thing: Any = type("Thing", (), {})()
    reference = weakref.ref(thing)
    found = _places(reference, thing)
    del thing
    return found[0] if found == _places(reference, None) and len(found) == 1 else 0


FUNCTION_WORDS = _function_words()
REFERENT_WORD = _referent_word()
