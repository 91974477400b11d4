"""Text to machine code: LLVM IR and MLIR are compiled, linked and loaded; errors are clear."""

import ctypes
import gc
import os
import subprocess
import sys
import threading

import pytest

from xnp.runtime.lower_mlir import LoweringError, to_llvm_ir
from xnp.runtime.native import Library, host, load, load_object

TWICE = "define i64 @twice(i64 %x) { %y = add i64 %x, %x ret i64 %y }"
CALLS_HELPER = """
declare i64 @helper(i64)
define i64 @outer(i64 %x) { %y = call i64 @helper(i64 %x) %z = add i64 %y, 1 ret i64 %z }
"""


def function(library: Library, name: str, *, of: type = ctypes.c_int64):
    made = ctypes.CFUNCTYPE(of, of)(library.address(name))
    made.library = library  # the code lives as long as it
    return made


@pytest.mark.parametrize("optimize", [0, 1, 2, 3])
def test_load_runs_at_every_level(optimize):
    library = load(TWICE, optimize=optimize)
    assert function(library, "twice")(21) == 42
    assert "twice" in library.assembly()
    assert "define" in library.llvm_ir()


def test_a_loop_is_vectorised_at_level_3():
    text = """
    define void @scale(ptr noalias %a, ptr noalias %b, i64 %n) {
    entry:
      br label %body
    body:
      %i = phi i64 [0, %entry], [%j, %body]
      %p = getelementptr float, ptr %a, i64 %i
      %q = getelementptr float, ptr %b, i64 %i
      %x = load float, ptr %p
      %y = fmul float %x, 2.0
      store float %y, ptr %q
      %j = add i64 %i, 1
      %more = icmp slt i64 %j, %n
      br i1 %more, label %body, label %end
    end:
      ret void
    }"""
    assert "x float>" in load(text, optimize=3).llvm_ir()
    assert "x float>" not in load(text, optimize=2).llvm_ir()


def test_an_object_loads_again():
    library = load(TWICE)
    again = load_object(library.object_code())
    assert again.object_code() == library.object_code()
    assert function(again, "twice")(4) == 8


def test_symbols_belong_to_one_library():
    """Two libraries may give one name to different addresses."""
    ten = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(lambda x: 10 * x)
    hundred = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(lambda x: 100 * x)
    libraries = [
        load(CALLS_HELPER, {"helper": ctypes.cast(f, ctypes.c_void_p).value or 0})
        for f in (ten, hundred)
    ]
    assert [function(one, "outer")(3) for one in libraries] == [31, 301]


def test_the_process_s_own_symbols_are_found():
    text = """
    declare double @cos(double)
    define double @f(double %x) { %y = call double @cos(double %x) ret double %y }
    """
    assert function(load(text), "f", of=ctypes.c_double)(0.0) == 1.0


def test_large_constants_and_globals_work():
    """Data of a library is near its code, whatever the code model."""
    values = ", ".join(f"double {i}.0" for i in range(1000))
    text = f"""
    @table = constant [1000 x double] [{values}]
    @count = global i64 0
    define i64 @f(i64 %i) {{
      %p = getelementptr [1000 x double], ptr @table, i64 0, i64 %i
      %x = load double, ptr %p
      %n = fptosi double %x to i64
      %old = load i64, ptr @count
      %new = add i64 %old, %n
      store i64 %new, ptr @count
      ret i64 %new
    }}"""
    library = load(text)
    assert [function(library, "f")(i) for i in (3, 999)] == [3, 1002]
    assert ctypes.c_int64.from_address(library.address("count")).value == 1002


def test_errors_name_what_is_wrong(capfd):
    with pytest.raises(RuntimeError, match="expected top-level entity"):
        load("this is not a module")
    with pytest.raises(RuntimeError, match="outer"):
        load(CALLS_HELPER).address("outer")
    assert "helper" in capfd.readouterr().err  # where LLVM's linker says it
    with pytest.raises(RuntimeError, match="not recognized as a valid object"):
        load_object(b"garbage")
    with pytest.raises(KeyError, match="missing"):
        load(TWICE).address("missing")
    assert function(load(TWICE), "twice")(1) == 2  # an error leaves nothing broken


def test_a_dropped_library_leaves_the_others_alone():
    kept = load(TWICE)
    f = function(kept, "twice")
    for _ in range(20):
        load(TWICE).address("twice")
    gc.collect()
    assert f(7) == 14


class Mallinfo(ctypes.Structure):
    """glibc's ``struct mallinfo2``; ``numbers[7]`` is the bytes in use."""

    _fields_ = [("numbers", ctypes.c_size_t * 10)]


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc 2.33")
def test_dropped_libraries_take_little_memory():
    """LLVM keeps 2 KB of each: of what builds its passes."""
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = Mallinfo
    body = "".join(f"%{i + 1} = arith.addf %{i}, %{i} : f64\n" for i in range(200))
    text = f"func.func @f(%0: f64) -> f64 {{\n{body}return %200 : f64\n}}"
    used = []
    for _ in range(4):
        for _ in range(64):
            load(to_llvm_ir(text)).address("f")
        gc.collect()
        used.append(mallinfo().numbers[7])
    assert len(to_llvm_ir(text)) > 5000
    assert (used[-1] - used[0]) / (3 * 64) < 4000


def test_many_threads_compile_at_once():
    results = {}

    def work(i):
        text = f"define i64 @f(i64 %x) {{ %y = mul i64 %x, {i} ret i64 %y }}"
        results[i] = function(load(text), "f")(10)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {i: 10 * i for i in range(8)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_another_thread_compiles():
    """The child can compile: no lock stays taken."""
    program = """
import os, threading
from xnp.runtime.native import load
text = "define i64 @f(i64 %x) { %y = mul i64 %x, 3 ret i64 %y }"
load(text)
stop = threading.Event()
def work():
    while not stop.is_set():
        load(text)
threads = [threading.Thread(target=work) for _ in range(2)]
[thread.start() for thread in threads]
children = []
for _ in range(5):
    child = os.fork()
    if child == 0:
        load(text).address("f")
        os._exit(7)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
stop.set()
[thread.join() for thread in threads]
assert codes == [7] * 5, codes
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program],
        check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_host_names_this_machine():
    assert host().cpu
    assert "LLVM" in host().compiler
    assert host() is host()


# MLIR

VECTORS = """
func.func @f(%p: !llvm.ptr, %n: i64) -> f64 {
  %zero = arith.constant 0 : i64
  %step = arith.constant 4 : i64
  %start = arith.constant dense<0.0> : vector<4xf64>
  %sum = scf.for %i = %zero to %n step %step iter_args(%acc = %start) -> (vector<4xf64>) : i64 {
    %q = llvm.getelementptr %p[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f64
    %x = llvm.load %q {alignment = 8 : i64} : !llvm.ptr -> vector<4xf64>
    %a = math.absf %x : vector<4xf64>
    %r = math.sqrt %a : vector<4xf64>
    %y = math.fma %r, %r, %acc : vector<4xf64>
    scf.yield %y : vector<4xf64>
  }
  %total = vector.reduction <add>, %sum : vector<4xf64> into f64
  return %total : f64
}
"""


def test_mlir_with_loops_and_vectors_runs():
    library = load(to_llvm_ir(VECTORS, verify=True))
    f = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_void_p, ctypes.c_int64)(library.address("f"))
    data = (ctypes.c_double * 8)(*(float(i * i) * (-1) ** i for i in range(8)))
    assert f(ctypes.addressof(data), 8) == sum(i * i for i in range(8))


def test_mlir_of_the_slower_pipeline():
    """vector.step and vectors of two dimensions need a second round."""
    text = """
    func.func @f(%n: i64) -> i64 {
      %i = vector.step : vector<8xindex>
      %j = arith.index_cast %i : vector<8xindex> to vector<8xi64>
      %m = vector.shape_cast %j : vector<8xi64> to vector<2x4xi64>
      %t = vector.transpose %m, [1, 0] : vector<2x4xi64> to vector<4x2xi64>
      %r = vector.extract %t[1, 1] : i64 from vector<4x2xi64>
      %s = arith.addi %r, %n : i64
      return %s : i64
    }"""
    assert function(load(to_llvm_ir(text)), "f")(100) == 105


def test_mlir_errors_show_the_line():
    with pytest.raises(LoweringError, match=r"expects different type[\s\S]*addf %x, %x : f32"):
        to_llvm_ir("func.func @f(%x: f64) {\n  %y = arith.addf %x, %x : f32\n  return\n}")


def test_mlir_without_lowering_is_an_error():
    """The translation would end the process."""
    with pytest.raises(LoweringError, match=r"no lowering for math.exp"):
        to_llvm_ir(
            "func.func @f(%x: tensor<8xf64>) -> tensor<8xf64> {\n"
            "  %y = math.exp %x : tensor<8xf64>\n  return %y : tensor<8xf64>\n}"
        )
    assert "fadd" in to_llvm_ir(
        "func.func @f(%x: f64) -> f64 { %y = arith.addf %x, %x : f64\n return %y : f64 }"
    )
