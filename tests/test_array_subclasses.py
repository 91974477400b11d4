"""Subclasses of ndarray: those with rules of their own are refused, others are plain arrays."""

import numpy
import pytest

import xnp as np

ZEROS = numpy.zeros(2)


def subclass(**members):
    return type("Quantity", (numpy.ndarray,), members)


OWN = {
    "__mul__": lambda self, other: numpy.multiply(self, other) + 100,
    "__rsub__": lambda self, other: ZEROS,
    "__imul__": lambda self, other: self,
    "__matmul__": lambda self, other: ZEROS,
    "__neg__": lambda self: self,
    "__lt__": lambda self, other: ZEROS < 0,
    "__getitem__": lambda self, index: 7.0,
    "__setitem__": lambda self, index, value: None,
    "__len__": lambda self: 7,
    "__array_ufunc__": lambda self, ufunc, method, *inputs, **kwargs: ZEROS,
    "__array_function__": lambda self, func, types, args, kwargs: ZEROS,
    "__array_wrap__": lambda self, array, context=None, return_scalar=False: ZEROS,
    "sum": lambda self, *args, **kwargs: 7.0,
    "T": property(lambda self: ZEROS),
}
TRANSFORMATIONS = {
    "jit": np.jit,
    "jit of a tree": lambda f: lambda x: np.jit(lambda tree: f(tree["x"]))({"x": x}),
    "grad": np.grad,
    "jvp": lambda f: lambda x: np.jvp(f, (x,), (numpy.ones(3),)),
    "vmap": np.vmap,
    "with a traced array": lambda f: lambda x: np.grad(lambda y: np.sum(np.add(x, y)))(1.0),
}


def total(x):
    return np.sum(x * 2)


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("transformation", [name for name in TRANSFORMATIONS if name[0] != "w"])
def test_arguments_with_rules_of_their_own(name, transformation):
    x = numpy.ones(3).view(subclass(**{name: OWN[name]}))
    with pytest.raises(np.UnsupportedError, match=rf"Quantity .*{name}\).*Pass np.asarray\(x\)\."):
        TRANSFORMATIONS[transformation](total)(x)
    derived = numpy.ones(3).view(type("Derived", (type(x),), {}))
    with pytest.raises(np.UnsupportedError, match="Derived cannot be combined"):
        TRANSFORMATIONS[transformation](total)(derived)


def test_operands_with_rules_of_their_own():
    x = numpy.ones(3).view(subclass(__mul__=OWN["__mul__"]))
    with pytest.raises(np.UnsupportedError, match="Quantity"):
        TRANSFORMATIONS["with a traced array"](total)(x)
    with pytest.raises(np.UnsupportedError, match=r"MaskedArray .* and the mask on its own"):
        np.jit(total)(numpy.ma.array([1.0]))
    with pytest.raises(np.UnsupportedError, match="matrix cannot be combined"):
        np.jit(total)(numpy.ones((2, 2)).view(numpy.matrix))


class Named(numpy.ndarray):
    """Carries a name along."""

    def __new__(cls, values, name):
        found = numpy.asarray(values).view(cls)
        found.name = name
        return found

    def __array_finalize__(self, parent):
        self.name = getattr(parent, "name", None)

    def __repr__(self):
        return f"{self.name}: {super().__repr__()}"

    def upper(self):
        return self.name.upper()


@pytest.mark.parametrize("transformation", TRANSFORMATIONS)
def test_those_that_carry_attributes_are_plain_arrays(transformation):
    f = TRANSFORMATIONS[transformation](total)
    found, wanted = f(Named(numpy.ones(3), "a")), f(numpy.ones(3))
    numpy.testing.assert_array_equal(found, wanted, strict=True)
    assert type(found) is type(wanted)
