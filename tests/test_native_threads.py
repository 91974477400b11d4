"""The threads of compiled functions: every number is worked on once, whatever else goes on."""

import contextlib
import ctypes
import itertools
import os
import platform
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnp.runtime import threads as threads_module
from xnp.runtime.cpu_count import available_cpus, default_threads
from xnp.runtime.thread_pool_ir import MAX_THREADS, thread_pool_ir
from xnp.runtime.threads import parallel_address, set_spin, threads

pytest.importorskip("llvmlite", reason="waits for a platform that programs are compiled on")
from xnp.runtime import native

SYS_GETTID = {"x86_64": 186, "aarch64": 178}

# Bodies. `count_visits` takes an array of bytes and one of 64-bit numbers: how often each number
# was visited, and where the piece that begins there ends.
BODIES = """
declare void @xnp_parallel(ptr, ptr, i64, i64)
declare i64 @syscall(i64, ...)

define void @count_visits(ptr %context, i64 %begin, i64 %end) {
entry:
  %visits = load ptr, ptr %context
  %ends_at = getelementptr ptr, ptr %context, i64 1
  %ends = load ptr, ptr %ends_at
  %my_end = getelementptr i64, ptr %ends, i64 %begin
  store i64 %end, ptr %my_end
  br label %loop
loop:
  %i = phi i64 [ %begin, %entry ], [ %next, %loop ]
  %at = getelementptr i8, ptr %visits, i64 %i
  %old = load i8, ptr %at
  %new = add i8 %old, 1
  store i8 %new, ptr %at
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %end
  br i1 %more, label %loop, label %out
out:
  ret void
}

; the number of the thread, at each piece's beginning
define void @thread_number(ptr %context, i64 %begin, i64 %end) {
  %number = call i64 (i64, ...) @syscall(i64 $GETTID)
  %at = getelementptr i64, ptr %context, i64 %begin
  store i64 %number, ptr %at
  ret void
}

; Come in, and wait until as many are in as context[1] says: that takes so many threads.
define void @meet(ptr %context, i64 %begin, i64 %end) {
entry:
  %wanted_at = getelementptr i64, ptr %context, i64 1
  %wanted = load i64, ptr %wanted_at
  %before = atomicrmw add ptr %context, i64 1 seq_cst
  br label %wait
wait:
  %in = load atomic i64, ptr %context seq_cst, align 8
  %enough = icmp sge i64 %in, %wanted
  br i1 %enough, label %out, label %wait
out:
  ret void
}

; For each number a region of its own, of 1000 numbers.
define void @nested(ptr %context, i64 %begin, i64 %end) {
entry:
  br label %loop
loop:
  %i = phi i64 [ %begin, %entry ], [ %next, %loop ]
  call void @xnp_parallel(ptr @add_length, ptr %context, i64 1000, i64 10)
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %end
  br i1 %more, label %loop, label %out
out:
  ret void
}

define void @add_length(ptr %context, i64 %begin, i64 %end) {
  %length = sub i64 %end, %begin
  %before = atomicrmw add ptr %context, i64 %length seq_cst
  ret void
}

define void @repeat(ptr %body, ptr %context, i64 %count, i64 %grain, i64 %times) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  call void @xnp_parallel(ptr %body, ptr %context, i64 %count, i64 %grain)
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %times
  br i1 %more, label %loop, label %out
out:
  ret void
}
"""


@cache
def library():
    text = BODIES.replace("$GETTID", str(SYS_GETTID[platform.machine()]))
    return native.load(text, {"xnp_parallel": parallel_address()})


def repeat(body, context, count, grain, times, hold_gil=False):
    kind = ctypes.PYFUNCTYPE if hold_gil else ctypes.CFUNCTYPE
    function = kind(None, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3)
    address = library().address
    function(address("repeat"))(address(body), context.ctypes.data, count, grain, times)


def run(body, context, count, grain):
    repeat(body, context, count, grain, 1)


def visits(count, grain, times=1):
    """How often each number was visited, and the pieces of the last time, as {begin: end}."""
    seen = numpy.zeros(max(count, 1), numpy.uint8)
    ends = numpy.zeros(max(count, 1), numpy.int64)
    repeat("count_visits", numpy.array([seen.ctypes.data, ends.ctypes.data]), count, grain, times)
    return seen[: max(count, 0)], {int(begin): int(ends[begin]) for begin in ends.nonzero()[0]}


def lengths(count, grain, times):
    total = numpy.zeros(1, numpy.int64)
    repeat("add_length", total, count, grain, times)
    return int(total[0])


@pytest.fixture(autouse=True)
def four_threads():
    """More than most machines of a CI have, so that threads are also taken off their cores."""
    with threads(4):
        yield
    set_spin()


def run_python(code, **environment):
    """Run `code` in a new interpreter; what it prints. Its warnings are errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore:This process:DeprecationWarning", "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        check=False,  # the assertion shows what it printed
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# Code for other processes: `total(count, grain)` is `count`, by way of the threads.
TOTAL = """
import ctypes, os, signal, sys, threading
from xnp.runtime import native
from xnp.runtime.threads import parallel_address, threads, _pool
LIBRARY = native.load('''
declare void @xnp_parallel(ptr, ptr, i64, i64)
define void @add_length(ptr %context, i64 %begin, i64 %end) {
  %length = sub i64 %end, %begin
  %before = atomicrmw add ptr %context, i64 %length seq_cst
  ret void
}
define i64 @total(i64 %count, i64 %grain) {
  %sum = alloca i64
  store i64 0, ptr %sum
  call void @xnp_parallel(ptr @add_length, ptr %sum, i64 %count, i64 %grain)
  %total = load i64, ptr %sum
  ret i64 %total
}''', {"xnp_parallel": parallel_address()})
total = ctypes.CFUNCTYPE(*[ctypes.c_int64] * 3)(LIBRARY.address("total"))
"""


@given(
    count=st.integers(-3, 3000),
    grain=st.integers(-1, 200) | st.sampled_from([10**6, 2**62, 2**63 - 1]),
    number=st.integers(1, 6),
    spin=st.sampled_from([0.0, 50.0]),
    times=st.integers(1, 3),
)
def test_every_number_once_in_pieces_of_whole_grains(count, grain, number, spin, times):
    set_spin(spin)
    with threads(number):
        seen, pieces = visits(count, grain, times)
    assert (seen == times).all()
    unit = max(grain, 1)
    for begin, end in pieces.items():
        assert begin % unit == 0
        assert end % unit == 0 or end == count
    if number == 1 or count <= unit:
        assert pieces == ({0: count} if count > 0 else {})


def test_so_many_threads_work_at_once():
    """If they did not, this would not end."""
    for number in (2, 3, 4):
        with threads(number):
            state = numpy.array([0, number])
            run("meet", state, number, 1)
            assert state[0] == number


def test_no_more_threads_than_are_set_work():
    with threads(6):
        run("meet", numpy.array([0, 6]), 6, 1)  # now there are so many
    for number in (1, 2, 3):
        with threads(number):
            who = numpy.zeros(1000, numpy.int64)
            repeat("thread_number", who, 1000, 1, 20)
            assert len(set(who.tolist()) - {0}) <= number


def test_small_work_is_done_by_the_calling_thread():
    for count, grain in [(1, 1), (100, 100), (100, 1000)]:
        who = numpy.zeros(count, numpy.int64)
        run("thread_number", who, count, grain)
        assert set(who.tolist()) - {0} == {threading.get_native_id()}


@pytest.mark.parametrize("spin", [0, 1, 50])
def test_many_regions_in_a_row(spin):
    """Whoever misses a wake-up would stay asleep, and this would not end."""
    set_spin(spin)
    for count in (2, 5, 64, 1000):
        assert lengths(count, 1, 1000) == 1000 * count


def test_regions_inside_of_regions():
    total = numpy.zeros(1, numpy.int64)
    repeat("nested", total, 50, 1, 20)
    assert total[0] == 50 * 20 * 1000


@pytest.mark.parametrize("hold_gil", [False, True])
def test_many_python_threads_at_once(hold_gil):
    def work(i):
        total = numpy.zeros(1, numpy.int64)
        for _ in range(50):
            repeat("add_length", total, 1000 + i, 3, 20, hold_gil)
        return int(total[0])

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(work, range(6))) == [1000 * (1000 + i) for i in range(6)]


def test_changing_the_number_while_others_work():
    stop = threading.Event()

    def change():
        while not stop.is_set():
            for number in (1, 4, 2, 8):
                threads(number)

    other = threading.Thread(target=change)
    other.start()
    try:
        for _ in range(20):
            assert lengths(500, 1, 200) == 500 * 200
    finally:
        stop.set()
        other.join()


def test_nothing_is_started_before_it_is_needed():
    code = """
import os
import xnp
import xnp.runtime.threads
count = lambda: len(os.listdir("/proc/self/task"))
before = count()
"""
    code += TOTAL + "print(count() - before, total(10, 100), count() - before, end=' ')\n"
    code += "threads(3); print(total(100, 1), count() - before)"
    assert run_python(code, OPENBLAS_NUM_THREADS="1") == "0 10 0 100 2\n"


def test_the_workers_take_no_signals_of_pythons():
    code = TOTAL + "threads(3); total(100, 1)\n"
    code += """
import time
def masks():
    found = []
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/status") as file:
            fields = dict(line.split(":", 1) for line in file)
        if fields["Name"].strip() == "xnp worker":
            found.append(int(fields["SigBlk"], 16))
    return found
def blocked(mask, number):
    return bool(mask >> (number - 1) & 1)
for _ in range(1000):  # a thread that has not run yet has everything blocked
    if not any(blocked(mask, signal.SIGSEGV) for mask in masks()): break
    time.sleep(0.01)
assert len(masks()) == 2
for mask in masks():
    assert all(blocked(mask, one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM))
    assert not any(blocked(mask, one) for one in (signal.SIGSEGV, signal.SIGFPE, signal.SIGBUS))
assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
"""
    run_python(code)


def test_a_forked_process_starts_its_own():
    code = TOTAL + "threads(3)\n"
    code += """
def check(depth):
    assert total(1000, 1) == 1000
    assert _pool.workers() == 2
    assert len([task for task in os.listdir("/proc/self/task") if "xnp" in
                open(f"/proc/self/task/{task}/comm").read()]) == 2
    if depth:
        child = os.fork()
        if child == 0:
            assert _pool.workers() == 0
            check(depth - 1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert total(1000, 1) == 1000
check(2)
"""
    run_python(code)


def test_fork_while_other_threads_are_in_regions():
    code = TOTAL + "threads(3)\n"
    code += """
done = False
def work():
    while not done:
        assert total(3000, 1) == 3000
        parallel_address()
others = [threading.Thread(target=work) for _ in range(2)]
for other in others: other.start()
for _ in range(30):
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        good = all(total(1000, 1) == 1000 for _ in range(20)) and _pool.workers() == 2
        os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0
done = True
for other in others: other.join()
"""
    run_python(code)


@pytest.mark.parametrize("how", ["", "os._exit(0)", "sys.exit(0)", "os.kill(os.getpid(), 15)"])
def test_the_end_of_the_process_waits_for_nobody(how):
    code = TOTAL + "threads(3)\n"
    code += """
def work():
    while True:
        total(10_000, 1)
threading.Thread(target=work, daemon=True).start()
total(1000, 1)
"""
    done = subprocess.run(
        [sys.executable, "-c", code + how], capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (-signal.SIGTERM if "kill" in how else 0, b"")


def test_where_the_system_gives_no_threads_one_is_enough():
    code = TOTAL + "import resource\n"
    code += """
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 2**20, size + 2**20))  # no room for a stack
threads(4)
assert all(total(1000, 1) == 1000 for _ in range(100))
assert _pool.workers() <= 1  # with the stack of the thread that loaded llvmlite
"""
    run_python(code)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_code_is_generated_for_every_machine(machine):
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    triple = f"{machine}-unknown-linux-gnu"
    target = llvm.Target.from_triple(triple).create_target_machine(reloc="pic", opt=1)
    module = llvm.parse_assembly(thread_pool_ir(machine))
    module.triple, module.data_layout = triple, str(target.target_data)
    module.verify()
    assert {"x86_64": "pause", "aarch64": "isb"}[machine] in target.emit_assembly(module)


def test_threads_sets_answers_and_restores():
    with threads(3):
        assert threads() == 3
        change = threads(5)
        assert repr(change) == "threads(5)"
        assert threads() == 5
        with change:
            assert threads() == 5
            with threads(numpy.int64(1)):
                assert threads() == 1
            assert threads() == 5
        assert threads() == 3
        with pytest.raises(KeyError), threads(2):
            raise KeyError
        assert threads() == 3
    assert threads() == 4


def test_blocks_of_several_threads_end_in_any_order():
    """The newest one's number holds, and at the end what was before."""
    for order in itertools.permutations(range(3)):
        blocks = [contextlib.ExitStack() for _ in range(3)]
        for number, block in enumerate(blocks, 1):
            block.enter_context(threads(number))
        assert threads() == 3
        left = {0, 1, 2}
        for i in order:
            blocks[i].close()
            left.remove(i)
            assert threads() == (max(left) + 1 if left else 4)


def test_blocks_that_begin_at_once():
    """Between the call and the block another thread may set its own number."""
    first, second = threads(1), threads(3)
    with first:
        assert threads() == 1
        with second:
            assert threads() == 3
    assert threads() == 4


def test_a_number_that_is_set_in_a_block_ends_with_it():
    with threads(3):
        for number in (1, 2, 5):
            change = threads(number)
            assert threads() == number
    assert threads() == 4
    with change, change:
        assert threads() == 5
    assert threads() == 4


def test_setting_it_often_takes_no_memory():
    with threads(3):
        change = None
        for number in range(1, 200):
            change = threads(number)
        assert len(threads_module._pool._settings[-1]._asked) <= 3
        del change


def test_blocks_in_many_threads_at_once():
    def work(seed):
        for number in numpy.random.default_rng(seed).integers(1, 9, 300):
            with threads(number):
                assert 1 <= threads() < 9

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
    finally:
        sys.setswitchinterval(before)
    assert threads() == 4


@pytest.mark.parametrize("number", [0, -1, MAX_THREADS + 1])
def test_numbers_out_of_range(number):
    with pytest.raises(ValueError, match=f"threads.. takes a number from 1 to 256, not {number}"):
        threads(number)
    assert threads() == 4


@pytest.mark.parametrize("number", [1.0, "2", numpy.array([1, 2])])
def test_what_is_no_number_of_threads(number):
    with pytest.raises(TypeError, match=r"^threads: n is .*, wanted an int \(at .*threads\(number"):
        threads(number)
    assert threads() == 4


def test_as_many_threads_as_there_can_be():
    with threads(MAX_THREADS):
        seen, _ = visits(10_000, 1, 3)
        assert (seen == 3).all()
        assert threads_module._pool.workers() <= MAX_THREADS - 1


def test_the_default_is_the_environments_or_the_systems(monkeypatch):
    cpus = available_cpus()
    assert 1 <= cpus <= len(os.sched_getaffinity(0))
    for text, number in [("3", 3), (" 5 ", 5), ("4,2", 4), ("", cpus), (" ", cpus)]:
        monkeypatch.setenv("OMP_NUM_THREADS", text)
        assert default_threads() == number
    monkeypatch.setenv("OMP_NUM_THREADS", "9" * 5000)
    assert default_threads() >= MAX_THREADS
    for text in ("0" * 5000, "0", "-1", "two", ",", "1.5", "²"):
        monkeypatch.setenv("OMP_NUM_THREADS", text)
        with pytest.warns(RuntimeWarning, match="OMP_NUM_THREADS=.* is ignored"):
            assert default_threads() == cpus
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert default_threads() == cpus


def test_the_default_is_used():
    code = "from xnp.runtime.threads import threads; print(threads())"
    assert run_python(code, OMP_NUM_THREADS="7,2") == "7\n"
    assert run_python(code, OMP_NUM_THREADS="1000") == f"{MAX_THREADS}\n"
    assert (
        run_python("import os; os.sched_setaffinity(0, [0]); " + code, OMP_NUM_THREADS="") == "1\n"
    )


QUOTAS = [
    # the line of /proc/self/cgroup, files below /sys/fs/cgroup, CPUs granted
    ("0::/", {}, None),
    ("0::/", {"cpu.max": "max 100000"}, None),
    ("0::/", {"cpu.max": "50000 100000"}, 1),
    ("0::/", {"cpu.max": "150000 100000"}, 2),
    ("0::/a/b", {"a/cpu.max": "100000 100000", "a/b/cpu.max": "400000 100000"}, 1),
    ("0::/../../outside", {"cpu.max": "100000 100000"}, 1),
    ("0::/", {"cpu.max": "nonsense"}, None),
    ("4:cpu,cpuacct:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
    ("4:cpu:/", {"cpu/cpu.cfs_quota_us": "70000", "cpu/cpu.cfs_period_us": "100000"}, 1),
    (
        "1:cpuset:/x\n4:cpuacct,cpu:/x",
        {"cpu/x/cpu.cfs_quota_us": "100000\n", "cpu/x/cpu.cfs_period_us": "100000\n"},
        1,
    ),
]


@pytest.mark.parametrize(("line", "files", "granted"), QUOTAS)
def test_quotas_of_control_groups(tmp_path, line, files, granted):
    contents = {"proc/self/cgroup": line}
    contents |= {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    for name, text in contents.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    cpus = len(os.sched_getaffinity(0))
    assert available_cpus(str(tmp_path)) == min(cpus, granted or cpus)


def test_threadpoolctl_limits_them():
    threadpoolctl = pytest.importorskip(
        "threadpoolctl", reason="waits for threadpoolctl, which nothing here requires"
    )
    parallel_address()
    ours = [one for one in threadpoolctl.threadpool_info() if one["user_api"] == "xnp"]
    assert [one["num_threads"] for one in ours] == [4]
    with threadpoolctl.threadpool_limits(1):
        assert threads() == 1
        who = numpy.zeros(1000, numpy.int64)
        run("thread_number", who, 1000, 1)
        assert set(who.tolist()) - {0} == {threading.get_native_id()}
    assert threads() == 4
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        assert threads() == 4


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32))
def test_sums_of_blocks_do_not_depend_on_the_threads(seed):
    """A piece is whole blocks, so a sum for each block is the same number in any case."""
    count, grain = 5000, 64
    x = numpy.random.default_rng(seed).normal(size=count)
    blocks = []
    for number in (1, 2, 5):
        with threads(number):
            _, pieces = visits(count, grain)
        sums = {
            start: x[start : start + grain].sum()
            for begin, end in pieces.items()
            for start in range(begin, end, grain)
        }
        blocks.append(sums)
    assert blocks[0] == blocks[1] == blocks[2]
