"""Fields, molecules, quantum mechanics, optics."""

from typing import Any

from .program import normal, program


@program(normal(110, 16), 0.5, plain=False)
def maxwell_in_one_dimension(np, source, permittivity):
    n, steps = 12, 16
    ez, hy = np.zeros(n), np.zeros(n)
    eps = np.ones(n)
    eps[6:9] += permittivity**2
    recorded = []
    for t in range(steps):
        hy[:-1] += 0.5 * (ez[1:] - ez[:-1])
        ez[1:] += 0.5 * (hy[1:] - hy[:-1]) / eps[1:]
        ez[3] += source[t]
        ez[0] = ez[1]
        recorded.append(ez[10])
    return np.array(recorded)


@program(0.1 * normal(111, 9, 5, 5) + 1.0, 0.7)
def lattice_boltzmann(np, populations, omega):
    directions = [(0, 0), (1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (-1, -1), (1, -1)]
    weights = np.array([4 / 9] + [1 / 9] * 4 + [1 / 36] * 4)
    c = np.array(directions)
    f = populations * weights[:, None, None]
    for _ in range(3):
        rho = f.sum(axis=0)
        u = np.einsum("qi,qxy->ixy", c, f) / rho
        cu = 3 * np.tensordot(c, u, axes=1)
        uu = 1.5 * np.sum(u**2, axis=0)
        equilibrium = rho * weights[:, None, None] * (1 + cu + cu**2 / 2 - uu)
        f = f - omega * (f - equilibrium)
        f = np.stack([np.roll(f[q], d, axis=(0, 1)) for q, d in enumerate(directions)])
    return np.sum(u**2, axis=0)


@program(normal(112, 8), [0.2, 0.4])
def schroedinger_crank_nicolson(np, potential, packet):
    n, h = 8, 0.1
    x = np.linspace(-1, 1, n)
    centre, momentum = packet
    psi = np.exp(-((x - centre) ** 2) / 0.1 + 1j * momentum * x)
    psi /= np.sqrt(np.sum(np.abs(psi) ** 2))
    H = np.diag(potential) - 0.5 * (np.eye(n, k=1) + np.eye(n, k=-1) - 2 * np.eye(n))
    left, right = np.eye(n) + 0.5j * h * H, np.eye(n) - 0.5j * h * H
    for _ in range(4):
        psi = np.linalg.solve(left, right @ psi)
    density = (psi * psi.conj()).real
    return density @ x


@program([-0.5, 0.3], 0.7)
def hueckel_orbitals(np, parameters, k):
    """Band energies of a chain with two atoms in the cell: complex Hermitian, on a grid of k."""
    onsite, hopping = parameters
    total = 0.0
    for phase in np.linspace(0, np.pi, 4) + k:
        off = hopping * (1 + np.exp(1j * phase))
        h = np.stack([np.stack([onsite + 0j, off]), np.stack([np.conj(off), -onsite + 0j])])
        total = total + np.linalg.eigvalsh(h)[0]
    return total


@program(normal(113, 3, 3), normal(114, 3, 3, 3, 3) * 0.02)
def hartree_fock(np, core, repulsion):
    h = core + core.T
    eri = repulsion + repulsion.transpose(1, 0, 2, 3)
    eri = eri + eri.transpose(0, 1, 3, 2)
    eri = eri + eri.transpose(2, 3, 0, 1)
    density = np.zeros((3, 3))
    energy = 0
    for _ in range(60):
        coulomb = np.einsum("pqrs,rs->pq", eri, density)
        exchange = np.einsum("prqs,rs->pq", eri, density)
        fock = h + coulomb - 0.5 * exchange
        _, orbitals = np.linalg.eigh(fock)
        occupied = orbitals[:, :1]
        density = 2 * occupied @ occupied.T
        new = 0.5 * np.sum(density * (h + fock))
        if abs(new - energy) < 1e-14:
            break
        energy = new
    return energy


@program(normal(115, 5, 3))
def biot_savart(np, nodes):
    closed = np.vstack([nodes, nodes[:1]])
    segments = np.diff(closed, axis=0)
    middles = 0.5 * (closed[1:] + closed[:-1])
    points = np.array([[0.0, 0.0, 2.0], [3.0, 0.0, 0.0]])
    r = points[:, None, :] - middles
    cubed = np.linalg.norm(r, axis=-1, keepdims=True) ** 3
    return np.sum(np.cross(segments[None], r) / cubed, axis=1)


@program(0.3, 1.1)
def spherical_harmonics(np, theta, phi):
    lmax = 3
    x, s = np.cos(theta), np.sin(theta)
    P = {(0, 0): 1.0}
    for m in range(1, lmax + 1):
        P[m, m] = -(2 * m - 1) * s * P[m - 1, m - 1]
    for m in range(lmax):
        P[m + 1, m] = x * (2 * m + 1) * P[m, m]
        for el in range(m + 2, lmax + 1):
            P[el, m] = ((2 * el - 1) * x * P[el - 1, m] - (el + m - 1) * P[el - 2, m]) / (el - m)
    total = sum(P[el, m] * np.exp(1j * m * phi) for el, m in P)
    return np.abs(total) ** 2


class Cloth:
    """Point masses on springs; every step changes the arrays of the object in place."""

    def __init__(self, np: Any, positions: Any, stiffness: Any) -> None:
        self.np, self.k = np, stiffness
        self.x = positions.copy()
        self.v = np.zeros_like(positions)
        self.forces = np.zeros_like(positions)
        n = len(positions)
        self.springs = [(i, i + 1) for i in range(n - 1)] + [(0, n - 1)]

    def pull(self) -> None:
        np = self.np
        self.forces[:] = 0
        self.forces[:, 1] -= 9.81
        for i, j in self.springs:
            gap = self.x[j] - self.x[i]
            length = np.sqrt(gap @ gap)
            force = self.k * (length - 0.5) * gap / length
            self.forces[i] += force
            self.forces[j] -= force

    def step(self, h: float) -> None:
        self.pull()
        self.v += h * self.forces
        self.v *= 0.99
        self.v[0] = 0
        self.x += h * self.v
        below = self.x[:, 1] < -1.5
        self.x[below, 1] = -1.5
        self.v[below] *= -0.5


@program(normal(116, 4, 2), 5.0)
def cloth_of_springs(np, positions, stiffness):
    cloth = Cloth(np, positions, stiffness)
    for _ in range(5):
        cloth.step(0.05)
    return cloth.x


@program(normal(117, 6, 2), normal(118, 6), plain=False)
def smoothed_particles(np, positions, masses):
    i, j = np.triu_indices(6, k=1)
    gap = positions[i] - positions[j]
    r = np.hypot(gap[:, 0], gap[:, 1])
    kernel = np.where(r < 2.5, (2.5 - r) ** 3, 0.0)
    density = np.zeros(6)
    np.add.at(density, i, masses[j] * kernel)
    np.add.at(density, j, masses[i] * kernel)
    near = kernel > 0
    force = np.zeros((6, 2))
    push = (kernel[near] / r[near])[:, None] * gap[near]
    np.add.at(force, i[near], push)
    np.subtract.at(force, j[near], push)
    return np.sum(density**2) + np.linalg.norm(force)


@program(normal(119, 8, 8), 0.1)
def shallow_water(np, height, coriolis):
    h = 1 + 0.1 * height
    u, v = np.zeros_like(h), np.zeros_like(h)

    def d(a, axis):
        return (np.roll(a, -1, axis) - np.roll(a, 1, axis)) / 2

    for _ in range(4):
        u, v = u + 0.1 * (coriolis * v - d(h, 0)), v - 0.1 * (coriolis * u + d(h, 1))
        h -= 0.1 * (d(h * u, 0) + d(h * v, 1))
    return (0.5 * h * (u**2 + v**2)).sum() + np.sum((h - h.mean()) ** 2)


def _v_cycle(np: Any, u: Any, f: Any) -> Any:
    for _ in range(2):
        u[1:-1] += 0.3 * (f[1:-1] + u[2:] + u[:-2] - 2 * u[1:-1])
    if len(u) <= 3:
        return u
    residual = np.zeros_like(u)
    residual[1:-1] = f[1:-1] + u[2:] + u[:-2] - 2 * u[1:-1]
    coarse = residual[::2].copy()
    coarse[1:-1] = 0.25 * (residual[1:-2:2] + 2 * residual[2:-1:2] + residual[3::2])
    correction = _v_cycle(np, np.zeros_like(coarse), 4 * coarse)
    u[::2] += correction
    u[1::2] += 0.5 * (correction[1:] + correction[:-1])
    return u


@program(normal(120, 17))
def multigrid(np, source):
    u = np.zeros_like(source)
    for _ in range(3):
        u = _v_cycle(np, u, source)
    return u


@program(normal(121, 4, 3), [0.1, 0.2, 0.3], [0.5, -0.4, 4.0])
def pinhole_camera(np, points, rotation, translation):
    angle = np.linalg.norm(rotation)
    axis = rotation / angle
    K = np.cross(np.eye(3), -axis)
    R = np.eye(3) + np.sin(angle) * K + (1 - np.cos(angle)) * (K @ K)
    camera = points @ R.T + translation
    assert (camera[:, 2] > 0).all()
    pixels = 500 * camera[:, :2] / camera[:, 2:] + 320
    observed = np.rint(pixels) + 0.25
    error = pixels - observed
    return np.sum(np.where(np.abs(error) < 2, error**2, 4 * np.abs(error) - 4))


@program(normal(122, 5, 2), normal(123, 5, 2))
def procrustes_alignment(np, a, b):
    a0, b0 = a - a.mean(0), b - b.mean(0)
    u, s, vt = np.linalg.svd(b0.T @ a0)
    flip = np.diag(np.array([1.0, np.sign(np.linalg.det(u @ vt))]))
    rotated = a0 @ (u @ flip @ vt).T
    return np.linalg.norm(rotated - b0) ** 2 + s.sum()


@program([0.3, 0.1, 0.02], 1000.0)
def epidemic_with_events(np, rates, population):
    beta, gamma, mu = rates
    state = {"S": population - 1, "I": 1.0, "R": 0.0}
    peak, day = 0.0, 0
    while day < 100:
        new = beta * state["S"] * state["I"] / population
        state["S"] -= new
        state["I"] += new - (gamma + mu) * state["I"]
        state["R"] += gamma * state["I"]
        if state["I"] < peak:
            break
        peak = max(peak, state["I"])
        day += 1
    return peak + 0.1 * state["R"]
