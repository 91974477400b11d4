"""A pytest plugin for the tests of programs written with xnp.

Write ``pytest_plugins = ["xnp.testing.pytest_plugin"]`` in conftest.py. It is no entry point: that
would import xnp at the start of every run of pytest, also where nothing uses it.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable

import pytest  # noqa: TID253 - only pytest imports this module

from .check_grads import check_grads as check


@pytest.fixture
def check_grads(request: pytest.FixtureRequest) -> Callable[..., None]:
    """`xnp.testing.check_grads` with directions of its own for each test, the same in all runs."""
    return functools.partial(check, seed=zlib.crc32(request.node.nodeid.encode()))
