"""Settings for every test: reproducible hypothesis runs, NumPy's own error state."""

import atexit
import gc
import os
import shutil
import tempfile
from collections.abc import Iterator

import numpy
import pytest
from hypothesis import HealthCheck, settings

# What tests compile is kept for the other tests and processes of this run, and nobody else.
if "XNP_CACHE_DIR" not in os.environ:
    os.environ["XNP_CACHE_DIR"] = tempfile.mkdtemp(prefix="xnp-tests-")
    atexit.register(shutil.rmtree, os.environ["XNP_CACHE_DIR"], ignore_errors=True)

# Every pass of the compiler is checked to leave a well formed Program.
os.environ.setdefault("XNP_CHECK", "1")

# A failure must come back on every run and on every machine, however slow; `explore` searches on.
# Choose with `pytest --hypothesis-profile=explore`.
settings.register_profile(
    "ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "explore", settings.get_profile("ci"), derandomize=False, max_examples=2000
)
settings.load_profile("ci")

NUMPY_ERROR_STATE = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}


@pytest.fixture(autouse=True)
def numpy_error_state() -> Iterator[None]:
    """Give each test NumPy's default error state, and fail one that leaves another behind."""
    with numpy.errstate(**NUMPY_ERROR_STATE):
        yield
        left = numpy.geterr()
    assert left == NUMPY_ERROR_STATE, "the test or the code under test changed np.seterr"


def pytest_collection_finish() -> None:
    """Spare the collector tens of thousands of test items, which live to the end."""
    gc.collect()
    gc.freeze()


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Functions by their names: the default id holds an address, which differs between workers."""
    name = getattr(val, "__name__", None) if callable(val) else None
    return None if name == "<lambda>" else name


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has jit evaluate Programs with NumPy: for tests of all that is not the compiler."""
    monkeypatch.setattr("xnp.runtime.executable.NATIVE", None)


@pytest.fixture(params=["interpreted", "native"])
def both_ways(request: pytest.FixtureRequest) -> None:
    """Runs a test of jit twice: evaluating Programs with NumPy, and compiling them."""
    if request.param == "interpreted":
        request.getfixturevalue("interpreted")
