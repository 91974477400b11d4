"""NumPy functions that answer about arrays, with text, dtypes or facts: as for plain arrays."""

import numpy
import pytest
from laws import call_on_constants

import xnp as np

X = numpy.array([[1.0, -2.5], [0.25, 3.0]])
QUERIES = {
    "array_str": numpy.array_str,
    "array_repr": lambda x: numpy.array_repr(x).partition("(")[2],
    "array2string": lambda x: numpy.array2string(x, precision=1),
    "can_cast": lambda x: numpy.can_cast(x.dtype, numpy.float32),
    "common_type": lambda x: numpy.common_type(x, numpy.float32(1)),
    "min_scalar_type": lambda x: numpy.min_scalar_type(x),  # noqa: PLW0108 - alike
    "result_type": lambda x: numpy.result_type(x, numpy.float32, 1j),
    "result_type of a number": lambda x: numpy.result_type(numpy.sum(x), numpy.float32(1)),
    "shares_memory": lambda x: (numpy.shares_memory(x, x[0]), numpy.shares_memory(x, x + 0)),
    "may_share_memory": lambda x: numpy.may_share_memory(x, x.T),
    "shape": numpy.shape,
    "ndim": numpy.ndim,
    "size": numpy.size,
    "iscomplexobj": numpy.iscomplexobj,
    "isrealobj": numpy.isrealobj,
    "isscalar": lambda x: (numpy.isscalar(x), numpy.isscalar(numpy.float64(1))),
    "isfortran": lambda x: (numpy.isfortran(x), numpy.isfortran(x.T)),
}


@pytest.mark.parametrize("dtype", [float, numpy.float32, complex, int])
@pytest.mark.parametrize("name", QUERIES)
def test_query(name, dtype):
    x = X.astype(dtype)
    query = QUERIES[name]
    try:
        wanted = query(x)
    except TypeError:
        with pytest.raises(TypeError):
            call_on_constants(query, (x,))
        return
    assert call_on_constants(lambda x: Answer(query(x)), (x,)).value == wanted


class Answer:
    """What is not an array, passed out of the transformation as it is."""

    def __init__(self, value):
        self.value = value


def test_under_a_transformation():
    """Traced values answer too, where the answer does not depend on values."""

    def f(x):
        assert np.result_type(x, np.float32(1)) == numpy.float64
        assert np.shares_memory(x, x[0])
        return np.sum(x)

    np.grad(f)(X)
