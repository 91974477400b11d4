"""`profile`: every run that is reported while it is entered, its sums, a trace that others read."""

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xnp
from xnp.runtime.compile import is_available
from xnp.runtime.profile import active, profile, record


def test_the_table(capsys):
    with profile() as p:
        record("matmul", 1_000_000, 3_000_000, bytes=24_000_000, operations=2_000_000_000)
        record("add", 3_000_000, 3_500_000, bytes=1_000_000, operations=125_000)
        record("matmul", 4_000_000, 6_000_000, bytes=24_000_000, operations=2_000_000_000)
        record("copy a long way", 6_000_000, 6_000_000)
    assert capsys.readouterr().out == p.table() + "\n"
    assert p.table() == (
        "kernel           calls  total ms  ms/call   GB/s  GFLOP/s\n"
        "matmul               2     4.000   2.0000  12.00  1000.00\n"
        "add                  1     0.500   0.5000   2.00     0.25\n"
        "copy a long way      1     0.000   0.0000      -        -"
    )
    assert repr(p) == "<profile of 4 kernel runs>"


def test_it_says_where_nothing_ran(capsys):
    with profile():
        pass
    assert capsys.readouterr().out == "profile: no compiled kernel has run\n"


def test_only_what_runs_inside_counts():
    record("before", 0, 1)
    assert not active()
    with profile(show=False) as outer:
        assert active()
        record("outer", 0, 1)
        with profile(show=False) as inner:
            record("both", 0, 1)
        record("outer again", 0, 1)
    record("after", 0, 1)
    assert not active()
    assert [one.name for one in outer.records] == ["outer", "both", "outer again"]
    assert [one.name for one in inner.records] == ["both"]


def test_an_error_ends_it_too(capsys):
    p = profile()
    with pytest.raises(KeyError), p:
        raise KeyError
    assert not active()
    assert capsys.readouterr().out


def test_it_is_entered_once_at_a_time():
    with profile(show=False) as p:
        with pytest.raises(RuntimeError, match="being taken already"), p:
            pass
        assert active()
    with p:
        record("later", 0, 1)
    assert len(p.records) == 1


RUNS = st.lists(
    st.tuples(
        st.text('ab"é\\', max_size=5),
        st.integers(0, 10**12),
        st.integers(0, 10**9),
        st.integers(0, 10**12),
    )
)


@given(runs=RUNS)
def test_a_trace_holds_every_run(tmp_path_factory, runs):
    path = tmp_path_factory.mktemp("trace") / "trace.json"
    with profile(show=False) as p:
        for name, begin, duration, amount in runs:
            record(name, begin, begin + duration, amount, 2 * amount)
    p.save(path)
    events = json.loads(path.read_text())["traceEvents"]
    assert len(events) == len(runs)
    for event, (name, begin, duration, amount) in zip(events, runs, strict=True):
        assert (event["name"], event["ph"], event["pid"]) == (name, "X", os.getpid())
        assert event["tid"] == threading.get_native_id()
        assert event["dur"] == duration / 1000
        assert event["ts"] - events[0]["ts"] == pytest.approx((begin - runs[0][1]) / 1000, abs=1e-2)
        assert event["args"] == {"bytes": amount, "operations": 2 * amount}
    assert p.table().count("\n") == len({name for name, *_ in runs})


def test_runs_of_other_threads_count():
    with profile(show=False) as p:
        several = [threading.Thread(target=record, args=("k", 0, 1)) for _ in range(4)]
        for one in several:
            one.start()
        for one in several:
            one.join()
    assert len(p.records) == 4


needs_compiler = pytest.mark.skipif(not is_available(), reason="there is no compiler here")


@needs_compiler
def test_compiled_functions():
    """Also those that are called without Python otherwise, in any thread; and no others."""
    f = xnp.jit(lambda x: numpy.exp(x - x.max()).cumsum())
    x = numpy.linspace(0.0, 1.0, 1000)
    for _ in range(3):
        wanted = f(x)
    with profile(show=False) as p, ThreadPoolExecutor(2) as pool:
        for found in pool.map(f, [x] * 6):
            numpy.testing.assert_allclose(found, wanted, rtol=1e-14)
    f(x)
    kernels = {one.name for one in p.records}
    assert len(p.records) == 6 * len(kernels)
    assert all(name.startswith("<lambda>: kernel ") for name in kernels)
    assert all(one.begin_ns <= one.end_ns and one.bytes > 0 for one in p.records)


@needs_compiler
def test_a_function_of_any_size_counts_with_the_size_at_hand():
    f = xnp.jit(lambda x: numpy.sin(x) * 2)
    for n in (4, 5):
        f(numpy.ones(n))
    with profile(show=False) as p:
        for n in (5, 100, 1000):
            f(numpy.ones(n))
    assert [(one.bytes, one.operations) for one in p.records] == [
        (16 * n, 2 * n) for n in (5, 100, 1000)
    ]
    assert f.inspect(numpy.ones(100)).bytes == 1600
    assert len(xnp.explain(f)) == 2
