"""Whole NumPy programs: with numpy, with xnp, and with numpy on traced arrays, the same results;
derivatives agree with differences; forward, reverse and second derivatives with each other.
"""

import numpy
import pytest

import xnp
from tests.programs import algebra, dynamics, signals, statistics  # noqa: F401 - fill PROGRAMS
from tests.programs.program import PROGRAMS, Program
