"""The thread pool of the generated kernels, as LLVM IR: one text, no C compiler.

A *region* is one call of ``xnp_parallel`` that runs on several threads. There is one region at a
time: who finds the pool taken, from another Python thread or from inside a region, runs serially,
so nothing can wait in a circle.

The numbers [0, count) are cut into *blocks* of ``grain``. Each thread of a region has a *slot*: a
contiguous share of the blocks, the same in the next region of that size, so that its cache still
holds them. A slot's *cursor* is the next block to run; whoever is done with his own slot takes
from the others' cursors, so a thread that comes late, or never, holds nobody up.

``gate`` is all that threads agree by: seats left in the high half, threads at work in the low.
The caller opens it by offering seats, a worker joins by taking one, and the first thread that finds
no block left closes it. Only a thread counted in the gate reads the region's data, and the caller
returns when the count is zero; so a worker that wakes up late can do no harm.

Workers wait for ``epoch`` to move: a short while awake, then asleep in the kernel (futex). Waking
them costs the caller 2 us on bare metal and ten times that on virtual machines, so they are woken
only for work that is worth it.
"""

from __future__ import annotations

MAX_THREADS = 256

# The number of the system call futex, and what tells the core that the thread only waits.
_MACHINES = {
    "x86_64": ("202", "call void @llvm.x86.sse2.pause()", "declare void @llvm.x86.sse2.pause()"),
    "aarch64": (
        "98",
        "call void @llvm.aarch64.isb(i32 15)",  # yield is a no-op on cores without siblings
        "declare void @llvm.aarch64.isb(i32)",
    ),
}


def thread_pool_ir(machine: str) -> str:
    """The pool's module for a machine as ``platform.machine()`` names it.

    It defines

    * ``void xnp_parallel(void (*body)(void *context, i64 begin, i64 end), void *context,
      i64 count, i64 grain)``: see `runtime.threads`;
    * ``void xnp_pool_configure(i64 threads, i64 spin_ns)``: from the next region on;
    * ``void xnp_pool_forget()``: the threads are gone, in the child after a fork;
    * ``i64 xnp_pool_workers()``: how many were started.

    Raises KeyError for a machine it was not written for.
    """
    futex, pause, declaration = _MACHINES[machine]
    text = _STATE + _WAITING + _WORKER + _WAKING + _REGION + _CONTROL
    for name, value in {
        "$FUTEX": futex,
        "$PAUSE": pause,
        "$DECLARE_PAUSE": declaration,
        "$MAX_THREADS": str(MAX_THREADS),
        "$MAX_WORKERS": str(MAX_THREADS - 1),
    }.items():
        text = text.replace(name, value)
    return text


# Everything that threads write stands in cache lines of its own (two, for they are fetched in
# pairs). %cursor is as long for the same reason.
_STATE = """
%job = type { ptr, ptr, i64, i64, i64, i64, i64, i64 }
%cursor = type { i64, [15 x i64] }

@gate = internal global i64 0, align 128
@epoch = internal global i32 0, align 128
@sleepers = internal global i32 0, align 128
@waiting = internal global i32 0, align 128
@busy = internal global i32 0, align 128
@threads = internal global i64 1, align 128
@spin_ns = internal global i64 0, align 128
@workers = internal global i64 0, align 128
@most_workers = internal global i64 $MAX_WORKERS, align 128
@wake_ns = internal global i64 10000, align 128  ; what waking costs, as last seen
@debt_ns = internal global i64 0, align 8  ; what was done alone lately, because others slept
@debt_end = internal global i64 0, align 8  ; when that was
@cursors = internal global [$MAX_THREADS x %cursor] zeroinitializer, align 128

; body, context, count, grain, blocks, blocks in a share, blocks in a step, slots
@job = internal global %job zeroinitializer, align 128
@name = internal constant [11 x i8] c"xnp worker\\00"

declare i64 @syscall(i64, ...)
declare i32 @clock_gettime(i32, ptr)
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_detach(i64)
declare i32 @pthread_setname_np(i64, ptr)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i32 @sigfillset(ptr)
declare i32 @sigdelset(ptr, i32)
declare i64 @llvm.smin.i64(i64, i64)
declare i64 @llvm.smax.i64(i64, i64)
$DECLARE_PAUSE
"""

# 128 and 129: FUTEX_WAIT and FUTEX_WAKE, private to the process. clock 1: CLOCK_MONOTONIC.
_WAITING = """
define internal void @sleep_while(ptr %word, i32 %seen) noinline {
  %value = zext i32 %seen to i64
  %unused = call i64 (i64, ...) @syscall(i64 $FUTEX, ptr %word, i64 128, i64 %value, ptr null)
  ret void
}

define internal void @wake(ptr %word, i64 %how_many) noinline {
  %unused = call i64 (i64, ...) @syscall(i64 $FUTEX, ptr %word, i64 129, i64 %how_many)
  ret void
}

define internal i64 @now() noinline {
  %time = alloca [2 x i64], align 16
  %unused = call i32 @clock_gettime(i32 1, ptr %time)
  %seconds = load i64, ptr %time
  %rest_at = getelementptr i64, ptr %time, i64 1
  %rest = load i64, ptr %rest_at
  %whole = mul i64 %seconds, 1000000000
  %ns = add i64 %whole, %rest
  ret i64 %ns
}

; Wait awake until (gate & mask != 0) == wanted; false where spin_ns ran out. The clock is read
; only now and then.
define internal i1 @spin(i64 %mask, i1 %wanted) noinline {
entry:
  %ns = load atomic i64, ptr @spin_ns monotonic, align 8
  %start = call i64 @now()
  br label %look
look:
  %round = phi i64 [ 1, %entry ], [ %next, %pause ]
  %gate = load atomic i64, ptr @gate acquire, align 8
  %bits = and i64 %gate, %mask
  %nonzero = icmp ne i64 %bits, 0
  %miss = xor i1 %nonzero, %wanted
  br i1 %miss, label %missed, label %found
missed:
  %low = and i64 %round, 15
  %ask = icmp eq i64 %low, 0
  br i1 %ask, label %clock, label %pause
clock:
  %time = call i64 @now()
  %passed = sub i64 %time, %start
  %over = icmp sge i64 %passed, %ns
  br i1 %over, label %out, label %pause
pause:
  $PAUSE
  %next = add i64 %round, 1
  br label %look
found:
  ret i1 true
out:
  ret i1 false
}
"""

_WORKER = """
; Run blocks until none is left: the own slot's, then the other slots'.
define internal void @work(i64 %own) noinline {
entry:
  %job = load %job, ptr @job, align 8
  %body = extractvalue %job %job, 0
  %context = extractvalue %job %job, 1
  %count = extractvalue %job %job, 2
  %grain = extractvalue %job %job, 3
  %blocks = extractvalue %job %job, 4
  %share = extractvalue %job %job, 5
  %step = extractvalue %job %job, 6
  %slots = extractvalue %job %job, 7
  br label %slot
slot:
  %tried = phi i64 [ 0, %entry ], [ %tried_next, %done ]
  %sum = add i64 %own, %tried
  %slot_number = urem i64 %sum, %slots
  %after = add i64 %slot_number, 1
  %share_end = mul i64 %after, %share
  %end = call i64 @llvm.smin.i64(i64 %share_end, i64 %blocks)
  %cursor = getelementptr %cursor, ptr @cursors, i64 %slot_number
  br label %look
look:
  ; reading first spares the cursors of empty slots
  %seen = load atomic i64, ptr %cursor monotonic, align 8
  %some = icmp slt i64 %seen, %end
  br i1 %some, label %claim, label %done
claim:
  %first = atomicrmw add ptr %cursor, i64 %step monotonic
  %mine = icmp slt i64 %first, %end
  br i1 %mine, label %run, label %done
run:
  %step_end = add i64 %first, %step
  %last = call i64 @llvm.smin.i64(i64 %step_end, i64 %end)
  %from = mul i64 %first, %grain
  %block_end = mul i64 %last, %grain
  %to = call i64 @llvm.smin.i64(i64 %block_end, i64 %count)
  call void %body(ptr %context, i64 %from, i64 %to)
  br label %look
done:
  %tried_next = add i64 %tried, 1
  %more = icmp slt i64 %tried_next, %slots
  br i1 %more, label %slot, label %out
out:
  ret void
}

; A thread of the pool; its argument is its number, from 1.
define internal ptr @worker(ptr %argument) {
entry:
  %number = ptrtoint ptr %argument to i64
  br label %again
again:
  %epoch = load atomic i32, ptr @epoch seq_cst, align 4
  br label %join
join:
  %gate = load atomic i64, ptr @gate acquire, align 8
  %seats = lshr i64 %gate, 32
  %open = icmp ne i64 %seats, 0
  br i1 %open, label %take, label %idle
take:
  %taken = add i64 %gate, -4294967295  ; one seat less, one thread more
  %exchange = cmpxchg ptr @gate, i64 %gate, i64 %taken seq_cst acquire
  %joined = extractvalue { i64, i1 } %exchange, 1
  br i1 %joined, label %inside, label %join
inside:
  %slots_at = getelementptr %job, ptr @job, i64 0, i32 7
  %slots = load i64, ptr %slots_at, align 8
  %own = urem i64 %number, %slots
  call void @work(i64 %own)
  %unused = atomicrmw and ptr @gate, i64 4294967295 seq_cst
  %before = atomicrmw sub ptr @gate, i64 1 seq_cst
  %last = icmp eq i64 %before, 1
  br i1 %last, label %look_for_caller, label %again
look_for_caller:
  %waiting = load atomic i32, ptr @waiting seq_cst, align 4
  %asleep = icmp ne i32 %waiting, 0
  br i1 %asleep, label %wake_caller, label %again
wake_caller:
  call void @wake(ptr @gate, i64 1)
  br label %again
idle:
  %offered = call i1 @spin(i64 -4294967296, i1 true)
  br i1 %offered, label %again, label %asleep_now
asleep_now:
  ; The caller moves epoch, then reads sleepers; this is the other way round. So one of the two
  ; sees the other: the caller wakes, or the kernel finds that epoch has moved.
  %others = atomicrmw add ptr @sleepers, i32 1 seq_cst
  call void @sleep_while(ptr @epoch, i32 %epoch)
  %left = atomicrmw sub ptr @sleepers, i32 1 seq_cst
  br label %again
}

; Start threads until there are `wanted`, while this thread holds the pool; how many there are.
; They take no signals but those of their own faults: Python's handlers belong to its threads.
define internal i64 @start_workers(i64 %wanted) noinline {
entry:
  %thread = alloca i64, align 8
  %none = alloca [16 x i64], align 16
  %old = alloca [16 x i64], align 16
  %most = load i64, ptr @most_workers, align 8
  %goal = call i64 @llvm.smin.i64(i64 %wanted, i64 %most)
  %have = load i64, ptr @workers, align 8
  %enough = icmp sge i64 %have, %goal
  br i1 %enough, label %out, label %block_signals
block_signals:
  %s0 = call i32 @sigfillset(ptr %none)
  %s1 = call i32 @sigdelset(ptr %none, i32 4)
  %s2 = call i32 @sigdelset(ptr %none, i32 7)
  %s3 = call i32 @sigdelset(ptr %none, i32 8)
  %s4 = call i32 @sigdelset(ptr %none, i32 11)
  %s5 = call i32 @pthread_sigmask(i32 2, ptr %none, ptr %old)
  br label %create
create:
  %number = phi i64 [ %have, %block_signals ], [ %next, %created ]
  %next = add i64 %number, 1
  %argument = inttoptr i64 %next to ptr
  %failed = call i32 @pthread_create(ptr %thread, ptr null, ptr @worker, ptr %argument)
  %ok = icmp eq i32 %failed, 0
  br i1 %ok, label %created, label %refused
created:
  %id = load i64, ptr %thread, align 8
  %c0 = call i32 @pthread_setname_np(i64 %id, ptr @name)
  %c1 = call i32 @pthread_detach(i64 %id)
  %more = icmp slt i64 %next, %goal
  br i1 %more, label %create, label %started
refused:
  ; the system has no more threads for us: do not ask again in every region
  store i64 %number, ptr @most_workers, align 8
  br label %started
started:
  %now = phi i64 [ %next, %created ], [ %number, %refused ]
  store atomic i64 %now, ptr @workers monotonic, align 8
  %s6 = call i32 @pthread_sigmask(i32 2, ptr %old, ptr null)
  ret i64 %now
out:
  ret i64 %have
}
"""

# A share is taken in eight steps, so that of a thread's work at most an eighth is waited for.
_REGION = """
define void @xnp_parallel(ptr %body, ptr %context, i64 %count, i64 %asked_grain) {
entry:
  %grain = call i64 @llvm.smax.i64(i64 %asked_grain, i64 1)
  %large = icmp sgt i64 %count, %grain
  %threads = load atomic i64, ptr @threads monotonic, align 8
  %several = icmp sgt i64 %threads, 1
  %both = and i1 %large, %several
  br i1 %both, label %try, label %alone
try:
  %exchange = cmpxchg ptr @busy, i32 0, i32 1 acquire monotonic
  %free = extractvalue { i32, i1 } %exchange, 1
  br i1 %free, label %plan, label %serial
alone:
  %any = icmp sgt i64 %count, 0
  br i1 %any, label %serial, label %out
serial:
  call void %body(ptr %context, i64 0, i64 %count)
  br label %out
plan:
  %less = add i64 %count, -1
  %full = udiv i64 %less, %grain
  %blocks = add i64 %full, 1
  %useful = call i64 @llvm.smin.i64(i64 %threads, i64 %blocks)
  %wanted = add i64 %useful, -1
  %workers = call i64 @start_workers(i64 %wanted)
  %seats = call i64 @llvm.smin.i64(i64 %wanted, i64 %workers)
  %company = icmp sgt i64 %seats, 0
  br i1 %company, label %region, label %nobody
nobody:
  store atomic i32 0, ptr @busy release, align 4
  br label %serial
region:
  %slots = add i64 %seats, 1
  %blocks_up = add i64 %blocks, %seats
  %share = udiv i64 %blocks_up, %slots
  %share_up = add i64 %share, 7
  %step = lshr i64 %share_up, 3
  %j0 = insertvalue %job undef, ptr %body, 0
  %j1 = insertvalue %job %j0, ptr %context, 1
  %j2 = insertvalue %job %j1, i64 %count, 2
  %j3 = insertvalue %job %j2, i64 %grain, 3
  %j4 = insertvalue %job %j3, i64 %blocks, 4
  %j5 = insertvalue %job %j4, i64 %share, 5
  %j6 = insertvalue %job %j5, i64 %step, 6
  %j7 = insertvalue %job %j6, i64 %slots, 7
  store %job %j7, ptr @job, align 8
  br label %cursors
cursors:
  %slot = phi i64 [ 0, %region ], [ %slot_next, %cursors ]
  %cursor = getelementptr %cursor, ptr @cursors, i64 %slot
  %begin = mul i64 %slot, %share
  store atomic i64 %begin, ptr %cursor monotonic, align 8
  %slot_next = add i64 %slot, 1
  %more_slots = icmp slt i64 %slot_next, %slots
  br i1 %more_slots, label %cursors, label %open
open:
  %offer = shl i64 %seats, 32
  store atomic i64 %offer, ptr @gate seq_cst, align 8
  %epoch = atomicrmw add ptr @epoch, i32 1 seq_cst
  %sleepers = load atomic i32, ptr @sleepers seq_cst, align 4
  %some_sleep = icmp sgt i32 %sleepers, 0
  br i1 %some_sleep, label %sleepy, label %work
sleepy:
  %many = shl i64 %slots, 2
  %fine = icmp sge i64 %blocks, %many
  br i1 %fine, label %judge, label %wake
judge:
  call void @wake_if_worth_it(i64 %seats)
  br label %work
wake:
  call void @wake(ptr @epoch, i64 %seats)
  br label %work
work:
  call void @work(i64 0)
  %before = atomicrmw and ptr @gate, i64 4294967295 seq_cst
  %active = and i64 %before, 4294967295
  %finished = icmp eq i64 %active, 0
  br i1 %finished, label %leave, label %wait
wait:
  %soon = call i1 @spin(i64 -1, i1 false)
  br i1 %soon, label %leave, label %announce
announce:
  store atomic i32 1, ptr @waiting seq_cst, align 4
  br label %look
look:
  %gate = load atomic i64, ptr @gate seq_cst, align 8
  %empty = icmp eq i64 %gate, 0
  br i1 %empty, label %awake, label %sleep
sleep:
  %low = trunc i64 %gate to i32
  call void @sleep_while(ptr @gate, i32 %low)
  br label %look
awake:
  store atomic i32 0, ptr @waiting monotonic, align 4
  br label %leave
leave:
  store atomic i32 0, ptr @busy release, align 4
  br label %out
out:
  ret void
}
"""

# As with skis that one rents until the rent comes to their price: work done alone is added up while
# regions follow each other closely, and when it comes to twice the cost, the sleepers are woken. So
# a small region after a pause costs little more than a call, and many in a row are soon shared.
# Where there are few blocks, one of them alone may be long, and nothing is measured first.
_WAKING = """
; Run one block, to see how long one takes; then wake the others, or not. This thread has the pool.
define internal void @wake_if_worth_it(i64 %seats) noinline {
entry:
  %job = load %job, ptr @job, align 8
  %body = extractvalue %job %job, 0
  %context = extractvalue %job %job, 1
  %count = extractvalue %job %job, 2
  %grain = extractvalue %job %job, 3
  %blocks = extractvalue %job %job, 4
  %share = extractvalue %job %job, 5
  %start = call i64 @now()
  %block = atomicrmw add ptr @cursors, i64 1 monotonic
  %mine = icmp slt i64 %block, %share
  br i1 %mine, label %run, label %judge
run:
  %from = mul i64 %block, %grain
  %after = add i64 %from, %grain
  %to = call i64 @llvm.smin.i64(i64 %after, i64 %count)
  call void %body(ptr %context, i64 %from, i64 %to)
  br label %judge
judge:
  %end = call i64 @now()
  %one = sub i64 %end, %start
  %others = add i64 %blocks, -1
  %rest = mul i64 %one, %others
  %before = load i64, ptr @debt_end, align 8
  %pause = sub i64 %start, %before
  %spin = load atomic i64, ptr @spin_ns monotonic, align 8
  %long_ago = icmp sgt i64 %pause, %spin
  %old_debt = load i64, ptr @debt_ns, align 8
  %still = select i1 %long_ago, i64 0, i64 %old_debt
  %debt = add i64 %still, %rest
  %done_at = add i64 %end, %rest
  store i64 %done_at, ptr @debt_end, align 8
  %cost = load i64, ptr @wake_ns, align 8
  %price = shl i64 %cost, 1
  %worth = icmp sge i64 %debt, %price
  %new_debt = select i1 %worth, i64 0, i64 %debt
  store i64 %new_debt, ptr @debt_ns, align 8
  br i1 %worth, label %wake, label %out
wake:
  call void @wake(ptr @epoch, i64 %seats)
  %awake = call i64 @now()
  %took = sub i64 %awake, %end
  %bounded = call i64 @llvm.smin.i64(i64 %took, i64 100000)  ; more, and we were interrupted
  %change = sub i64 %bounded, %cost
  %part = ashr i64 %change, 2
  %smoothed = add i64 %cost, %part
  %at_least = call i64 @llvm.smax.i64(i64 %smoothed, i64 2000)
  store i64 %at_least, ptr @wake_ns, align 8
  br label %out
out:
  ret void
}
"""

_CONTROL = """
define void @xnp_pool_configure(i64 %threads, i64 %spin_ns) {
  store atomic i64 %threads, ptr @threads monotonic, align 8
  store atomic i64 %spin_ns, ptr @spin_ns monotonic, align 8
  ret void
}

define void @xnp_pool_forget() {
  store i64 0, ptr @gate, align 8
  store i32 0, ptr @sleepers, align 4
  store i32 0, ptr @waiting, align 4
  store i32 0, ptr @busy, align 4
  store i64 0, ptr @workers, align 8
  store i64 $MAX_WORKERS, ptr @most_workers, align 8
  ret void
}

define i64 @xnp_pool_workers() {
  %workers = load atomic i64, ptr @workers monotonic, align 8
  ret i64 %workers
}
"""
