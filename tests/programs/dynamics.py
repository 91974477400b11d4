"""Ordinary and partial differential equations, particles, rigid bodies."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .program import normal, program


@program([1.0, 0.5, 0.2], [10.0, 28.0, 2.6], plain=False)
def lorenz_with_runge_kutta(np, start, parameters):
    sigma, rho, beta = parameters

    def slope(state):
        x, y, z = state
        return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])

    steps, h = 20, 0.01
    trajectory = np.empty((steps + 1, 3))
    trajectory[0] = start
    for n in range(steps):
        y = trajectory[n]
        k1 = slope(y)
        k2 = slope(y + h / 2 * k1)
        k3 = slope(y + h / 2 * k2)
        k4 = slope(y + h * k3)
        trajectory[n + 1] = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return trajectory[::5]


@program(normal(0, 4, 3), 0.1 * normal(1, 4, 3), [1.0, 0.5, 0.3, 0.2])
def gravity_with_leapfrog(np, position, velocity, mass):
    def acceleration(r):
        separation = r[np.newaxis, :, :] - r[:, np.newaxis, :]
        distance2 = (separation**2).sum(axis=-1) + 0.01
        np.fill_diagonal(distance2, 1.0)
        weights = mass * distance2**-1.5
        return np.einsum("ij,ijk->ik", weights, separation)

    r, v = position.copy(), velocity.copy()
    h = 0.02
    a = acceleration(r)
    for _ in range(6):
        v += 0.5 * h * a
        r += h * v
        a = acceleration(r)
        v += 0.5 * h * a
    kinetic = 0.5 * np.sum(mass[:, None] * v**2)
    i, j = np.triu_indices(len(mass), k=1)
    gap = np.linalg.norm(r[i] - r[j], axis=1)
    return kinetic - np.sum(mass[i] * mass[j] / gap)


@program(normal(2, 6, 2) * 2, 1.0, 1.1)
def lennard_jones_with_cutoff(np, positions, epsilon, sigma):
    box = 5.0
    energy = 0.0
    n = positions.shape[0]
    for i in range(n - 1):
        d = positions[i + 1 :] - positions[i]
        d -= box * np.round(d / box)  # nearest image
        r2 = np.sum(d * d, axis=1)
        near = r2 < 2.3**2
        inverse6 = (sigma**2 / r2[near]) ** 3
        energy += np.sum(4 * epsilon * np.tanh(1e-3 * (inverse6**2 - inverse6)))
    return energy


@program(normal(3, 12), 0.4)
def heat_explicit(np, u0, r):
    u = u0.copy()
    for _ in range(10):
        u[1:-1] += r * (u[2:] - 2 * u[1:-1] + u[:-2])
        u[0] = u[1]
        u[-1] = u[-2]
    return u


@program(normal(4, 9), 0.3, plain=False)
def heat_implicit_with_thomas(np, u, r):
    def thomas(lower, diagonal, upper, rhs):
        n = len(rhs)
        c, d = np.zeros(n), np.zeros(n)
        c[0] = upper[0] / diagonal[0]
        d[0] = rhs[0] / diagonal[0]
        for i in range(1, n):
            pivot = diagonal[i] - lower[i] * c[i - 1]
            c[i] = upper[i] / pivot
            d[i] = (rhs[i] - lower[i] * d[i - 1]) / pivot
        x = np.zeros(n)
        x[-1] = d[-1]
        for i in reversed(range(n - 1)):
            x[i] = d[i] - c[i] * x[i + 1]
        return x

    n = u.size
    off = np.full(n, -r / 2)
    main = np.full(n, 1 + r)
    for _ in range(3):
        rhs = (1 - r) * u
        rhs[1:] += r / 2 * u[:-1]
        rhs[:-1] += r / 2 * u[1:]
        u = thomas(off, main, off, rhs)
    return np.mean(u**2)


@program(normal(5, 8, 8), 0.5, plain=False)
def wave_on_a_membrane(np, shape, c):
    steps = 6
    history = np.zeros((steps, *shape.shape))
    history[0] = history[1] = shape
    history[:2, [0, -1], :] = 0
    history[:2, :, [0, -1]] = 0
    for t in range(1, steps - 1):
        now, before, after = history[t], history[t - 1], history[t + 1]
        inner = (slice(1, -1), slice(1, -1))
        laplacian = now[2:, 1:-1] + now[:-2, 1:-1] + now[1:-1, 2:] + now[1:-1, :-2] - 4 * now[inner]
        after[inner] = 2 * now[inner] - before[inner] + c**2 * laplacian
    return history[-1]


@program(normal(6, 7, 7))
def poisson_red_black(np, source):
    u = np.zeros_like(source)
    i, j = np.indices(source.shape)
    inside = (i > 0) & (i < 6) & (j > 0) & (j < 6)
    for _ in range(4):
        for colour in (0, 1):
            mask = inside & ((i + j) % 2 == colour)
            neighbours = np.roll(u, 1, 0) + np.roll(u, -1, 0) + np.roll(u, 1, 1) + np.roll(u, -1, 1)
            u[mask] = 0.25 * (neighbours - source)[mask]
    return 0.5 * np.vdot(u, source)


@program(normal(7, 16), 0.05)
def burgers_spectral(np, u, viscosity):
    n = u.shape[-1]
    k = 2 * np.pi * np.fft.rfftfreq(n, d=1 / n)
    dealias = k < 2 / 3 * k.max()

    def rate(u_hat):
        u = np.fft.irfft(u_hat, n)
        return -0.5j * k * np.fft.rfft(u**2) * dealias - viscosity * k**2 * u_hat

    u_hat = np.fft.rfft(u)
    h = 1e-4
    for _ in range(5):
        middle = u_hat + 0.5 * h * rate(u_hat)
        u_hat += h * rate(middle)
    spectrum = np.abs(u_hat) ** 2
    return spectrum[1:].sum() / n


@program(normal(8, 4), [0.1, 0.2, -0.3], plain=False)
def rigid_body_quaternions(np, quaternion, omega):
    def product(p, q):
        w, x, y, z = p
        a, b, c, d = q
        return np.array(
            [
                w * a - x * b - y * c - z * d,
                w * b + x * a + y * d - z * c,
                w * c - x * d + y * a + z * b,
                w * d + x * c - y * b + z * a,
            ]
        )

    inertia = np.diag([1.0, 2.0, 3.0])
    q = quaternion / np.linalg.norm(quaternion)
    for _ in range(5):
        torque_free = np.linalg.solve(inertia, -np.cross(omega, inertia @ omega))
        omega = omega + 0.1 * torque_free
        q = q + 0.05 * product(q, np.concatenate([[0.0], omega]))
        q /= np.sqrt(np.dot(q, q))
    w, v = q[0], q[1:]
    K = np.zeros((3, 3))
    K[0, 1], K[0, 2], K[1, 2] = -v[2], v[1], -v[0]
    K -= K.T
    return np.eye(3) + 2 * w * K + 2 * K @ K


@program([0.3, -0.5, 0.8], [1.0, 0.7, 0.4], plain=False)
def robot_arm(np, angles, lengths):
    def joint(angle, length):
        c, s = np.cos(angle), np.sin(angle)
        return np.array([[c, -s, length * c], [s, c, length * s], [0, 0, 1]])

    pose = np.eye(3)
    points = [pose[:2, 2]]
    for angle, length in zip(angles, lengths, strict=True):
        pose = pose @ joint(angle, length)
        points.append(pose[:2, 2])
    path = np.vstack(points)
    reach = path[-1] - np.array([1.0, 1.0])
    return reach @ reach + 0.01 * np.sum(np.diff(path, axis=0)[:, 1] ** 2)


@dataclass
class Predators:
    """Lotka-Volterra, with the state in a dataclass and a generator of time steps."""

    np: Any
    rates: Any
    time: float = 0.0

    def slope(self, y: Any) -> Any:
        a, b, c, d = self.rates
        prey, hunters = y
        return self.np.stack([a * prey - b * prey * hunters, d * prey * hunters - c * hunters])

    def steps(self, y: Any, h: float) -> Iterator[Any]:
        while True:
            middle = y + h / 2 * self.slope(y)
            y = y + h * self.slope(middle)
            self.time += h
            yield y


@program([1.0, 0.3, 1.1, 0.4], [2.0, 1.0])
def predators_and_prey(np, rates, start):
    system = Predators(np, rates)
    total = 0.0
    for state in system.steps(start, 0.05):
        total += state.sum()
        if system.time > 0.5:
            break
    return total


@program([1.0, 0.0], 2.0)
def adaptive_step_size(np, state, stiffness):
    """Heun and Euler compared; the step is halved or doubled by branches on traced values."""

    def slope(y):
        return np.stack([y[1], stiffness * (1 - y[0] ** 2) * y[1] - y[0]])

    t, h, y = 0.0, 0.2, state
    while t < 1.0:
        h = min(h, 1.0 - t)
        k1 = slope(y)
        k2 = slope(y + h * k1)
        error = np.max(np.abs(h / 2 * (k2 - k1)))
        if error > 0.01:
            h *= 0.5
            continue
        t += h
        y = y + h / 2 * (k1 + k2)
        if error < 0.001:
            h *= 2
    return y


@program(normal(9, 6, 6), 0.44)
def ising_energy(np, field, coupling):
    spins = np.tanh(field)
    right = np.roll(spins, -1, axis=1)
    down = np.roll(spins, -1, axis=0)
    energy = -coupling * np.sum(spins * (right + down))
    magnetisation = np.mean(spins)
    checker = (np.arange(36) % 2).reshape(6, 6).astype(bool)
    return energy - 0.1 * magnetisation + np.sum(spins[checker] ** 3)


@program(0.1 * normal(10, 2, 6, 6) + 0.5, [0.16, 0.08])
def reaction_diffusion(np, fields, rates):
    u, v = fields.copy()
    feed, kill = rates

    def laplacian(a):
        padded = np.pad(a, 1, mode="wrap")
        return padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:] - 4 * a

    for _ in range(4):
        reaction = u * v * v
        du = 0.2 * laplacian(u) - reaction + feed * (1 - u)
        dv = 0.1 * laplacian(v) + reaction - (feed + kill) * v
        u += du
        v += dv
        np.clip(u, 0, 1, out=u)
    return v


@program(normal(11, 5), normal(12, 5))
def adjoint_of_a_time_stepper(np, weights, start):
    """The gradient by a hand-written adjoint; xnp differentiates it once more."""
    steps, h = 5, 0.1

    def advance(y):
        return y + h * np.sin(weights * y)

    states = [start]
    for _ in range(steps):
        states.append(advance(states[-1]))
    adjoint = 2 * states[-1]
    gradient = np.zeros_like(weights)
    for y in reversed(states[:-1]):
        gradient += h * adjoint * y * np.cos(weights * y)
        adjoint = adjoint * (1 + h * weights * np.cos(weights * y))
    return gradient
