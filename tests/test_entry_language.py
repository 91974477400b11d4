"""The subset of Python that the call path is written in means what Python means."""

import ctypes
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnp.runtime import entry_language
from xnp.runtime.entry import llvm_ir
from xnp.runtime.native import load

SOURCE = '''
def gcd(a: int, b: int) -> int:
    """Euclid's algorithm."""
    while b != 0:
        rest = a
        while rest >= b:
            rest -= b
        a = b
        b = rest
    return a


def steps(a: int, b: int) -> int:
    total = 0
    for i in range(a, b):
        if i == 3:
            continue
        if total > at.LIMIT or i == 17:
            break
        total += i * i - (i & 5) + (i << 1) + (i >> 2) + (i | 8)
    return total


def logic(a: int, b: int) -> int:
    if a < b and not a == 2 or (b <= 1 and a >= 0):
        kind = 1
    elif not (a or b):
        kind = 2
    else:
        kind = OTHER
    return kind * 10 + (a > b or b == 5)


def nested(a: int, b: int) -> int:
    count = 0
    for i in range(a):
        for j in range(b):
            if j > i:
                break
            count += gcd(i + 1, j + 1)
    return count


def nothing(a: int, b: int) -> int:
    if a == b:
        return
'''
CONSTANTS = {"at": types.SimpleNamespace(LIMIT=200), "OTHER": 7}
NAMES = ["gcd", "steps", "logic", "nested"]
PYTHON = dict(CONSTANTS)
exec(SOURCE, PYTHON)
LIBRARIES = [
    load(
        entry_language.compile_functions(SOURCE, [*NAMES, "nothing"], CONSTANTS, (), {}),
        optimize=optimize,
    )
    for optimize in (0, 2)
]


def compiled(library, name):
    return ctypes.CFUNCTYPE(*3 * [ctypes.c_int64])(library.address(name))


@pytest.mark.parametrize("name", NAMES)
@given(a=st.integers(0, 25), b=st.integers(0, 25))
def test_means_what_python_means(name, a, b):
    expected = PYTHON[name](a, b)
    assert [compiled(library, name)(a, b) for library in LIBRARIES] == [int(expected)] * 2


def test_no_value_is_zero():
    assert compiled(LIBRARIES[0], "nothing")(1, 1) == 0
    assert compiled(LIBRARIES[0], "nothing")(1, 2) == 0


MEMORY = """
def move(a: int, b: int) -> int:
    scratch = stack(4)
    for i in range(4):
        store(scratch, i, word(a, i) + 1)
    store8(scratch, 255)
    store_double(b, api.twice(double(a + 24)))
    store(b, 1, api.half(-9))
    return word(scratch) + byte(scratch) + int32(scratch + 8) + call(api.negate, word(scratch, 2))
"""


def test_memory_and_external_functions():
    twice = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(lambda x: 2 * x)
    half = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int32)(lambda x: x // 2)
    negate = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int64)(lambda x: -x)
    callbacks = {"twice": twice, "half": half, "negate": negate}
    symbols = {k: ctypes.cast(f, ctypes.c_void_p).value or 0 for k, f in callbacks.items()}
    types_of = {"twice": "dd", "half": "ii"}
    text = entry_language.compile_functions(MEMORY, ["move"], {}, ["negate"], types_of)
    library = load(text, symbols)
    a, b = (ctypes.c_int64 * 4)(256, 2**40 - 3, 50, 0), (ctypes.c_int64 * 2)()
    ctypes.c_double.from_address(ctypes.addressof(a) + 24).value = 1.25
    result = compiled(library, "move")(ctypes.addressof(a), ctypes.addressof(b))
    assert result == (256 + 255) + 255 + -2 + -51
    assert ctypes.c_double.from_address(ctypes.addressof(b)).value == 2.5
    assert b[1] == -5


@pytest.mark.parametrize(
    "line",
    ["return a / b", "return unknown", "return f'{a}'", "import os", "return a < b < 3", "a @= b"],
)
def test_what_is_not_in_the_subset_is_refused(line):
    with pytest.raises(NotImplementedError):
        entry_language.compile_functions(
            f"def f(a: int, b: int) -> int:\n    {line}", [], {}, (), {}
        )


def test_the_call_path_s_text_is_the_same_every_time():
    assert llvm_ir() == llvm_ir()
