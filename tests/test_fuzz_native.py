"""Random Programs for the code generator, run on watched memory, against NumPy's evaluation.

Every bit is compared: the Programs hold numbers whose sums and products are exact. Each Program is
compiled in one of the forms of `native_runs`, which force what large arrays would do on small ones.
"""

import warnings

import numpy
import pytest
from native_programs import Refused, sample_of
from native_runs import FORMS, Watched, forced, run_watched

from xnp.runtime.compile import Compiled


def check(seed, form=None, more_writes=0):
    """One Program: the same results, no byte changed beside them; or the same error."""
    sample = sample_of(seed, more_writes=more_writes)
    error = wanted = None
    try:
        wanted = sample.wanted()
    except (Refused, ValueError):
        return
    except IndexError as found:
        error = found
    form = form or list(FORMS.values())[seed % len(FORMS)]
    with forced(form), warnings.catch_warnings(), numpy.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        compiled = Compiled(sample.program)
        if error is not None:
            with pytest.raises(IndexError):
                run_watched(compiled, sample.values, seed, Watched)
            return
        got = run_watched(compiled, sample.values, seed, Watched)
    for i, (a, b) in enumerate(zip(got, wanted, strict=True)):
        numpy.testing.assert_array_equal(a, b, err_msg=f"seed {seed}, result {i}")


@pytest.mark.parametrize("group", range(20))
def test_programs(group):
    for seed in range(group * 25, group * 25 + 25):
        check(seed)


@pytest.mark.parametrize("group", range(12))
def test_writes_in_place(group):
    """Branches and loops that update small arrays as they would large ones: where these lie."""
    for seed in range(10_000 + group * 25, 10_000 + group * 25 + 25):
        check(seed, FORMS["in place"], more_writes=200)


@pytest.mark.slow
@pytest.mark.parametrize("group", range(20, 80))
def test_more_programs(group):
    for seed in range(group * 25, group * 25 + 25):
        check(seed)
