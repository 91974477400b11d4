"""Minimise the Rosenbrock function with Newton's method: gradient and Hessian come from xnp."""

import argparse

import numpy

import xnp as np


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def newton(f, x, tolerance=1e-10, iterations=100):
    """Newton's method. Where the function is not convex its curvature is lifted, so that every step
    leads downhill; steps that are too long are halved.
    """
    value_and_grad, hessian = np.value_and_grad(f), np.hessian(f)
    identity = numpy.eye(x.size)
    for iteration in range(iterations):
        value, gradient = value_and_grad(x)
        size = numpy.linalg.norm(gradient)
        yield iteration, x, value, size
        if size < tolerance:
            return
        curvature = hessian(x)
        smallest = numpy.linalg.eigvalsh(curvature)[0]
        if smallest < 1e-8:
            curvature = curvature + (1e-3 - smallest) * identity
        step = -numpy.linalg.solve(curvature, gradient)
        slope = gradient @ step
        rounding = 1e-14 * abs(value)
        length = 1.0
        while f(x + length * step) > value + 1e-4 * length * slope + rounding:
            length /= 2
        x = x + length * step


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2, help="number of variables (default 2)")
    options = parser.parse_args()
    if options.size < 2:
        parser.error("--size must be at least 2")

    start = numpy.resize([-1.2, 1.0], options.size)
    shown = min(options.size, 4)
    more = " ..." if options.size > shown else ""
    print(f"step {'x':^{10 * shown - 1}}{' ' * len(more)} {'f(x)':>16} {'|gradient|':>15}")
    for iteration, x, value, size in newton(rosenbrock, start):
        coordinates = " ".join(f"{c:9.6f}" for c in x[:shown])
        print(f"{iteration:4d} {coordinates}{more} {value:16.6e} {size:15.6e}")


if __name__ == "__main__":
    main()
