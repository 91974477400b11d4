"""Linear algebra and iterations written by hand."""

import numpy

from .program import normal, program


def _spd(seed, n):
    a = normal(seed, n, n)
    return a @ a.T + numpy.diag(numpy.arange(1.0, n + 1))


@program(normal(20, 5, 5), normal(21, 5))
def gaussian_elimination(np, matrix, rhs):
    a, b = matrix.copy(), rhs.copy()
    n = len(b)
    for k in range(n - 1):
        pivot = k + np.argmax(np.abs(a[k:, k]))
        if pivot != k:
            a[[k, pivot]] = a[[pivot, k]]
            b[[k, pivot]] = b[[pivot, k]]
        for i in range(k + 1, n):
            factor = a[i, k] / a[k, k]
            a[i, k:] -= factor * a[k, k:]
            b[i] -= factor * b[k]
    x = np.zeros_like(b)
    for i in range(n - 1, -1, -1):
        x[i] = (b[i] - a[i, i + 1 :] @ x[i + 1 :]) / a[i, i]
    return x


@program(normal(22, 4, 4))
def lu_in_place(np, matrix):
    a = matrix + 6 * np.eye(4)
    n = a.shape[0]
    for k in range(n):
        a[k + 1 :, k] /= a[k, k]
        a[k + 1 :, k + 1 :] -= np.outer(a[k + 1 :, k], a[k, k + 1 :])
    lower = np.tril(a, -1) + np.eye(n)
    upper = np.triu(a)
    assert np.allclose(lower @ upper, matrix + 6 * np.eye(4))
    return np.log(np.abs(a.diagonal())).sum() + np.sum(lower**2)


@program(_spd(23, 4))
def cholesky_by_hand(np, a):
    n = len(a)
    L = np.zeros_like(a)
    for j in range(n):
        L[j, j] = np.sqrt(a[j, j] - L[j, :j] @ L[j, :j])
        for i in range(j + 1, n):
            L[i, j] = (a[i, j] - np.dot(L[i, :j], L[j, :j])) / L[j, j]
    return L


@program(normal(24, 5, 3), plain=False)
def householder_qr(np, matrix):
    r = matrix.copy()
    m, n = r.shape
    q = np.identity(m)
    for k in range(n):
        x = r[k:, k]
        v = x.copy()
        v[0] += np.copysign(np.linalg.norm(x), x[0])
        v /= np.linalg.norm(v)
        r[k:, k:] -= 2 * np.outer(v, v @ r[k:, k:])
        q[:, k:] -= 2 * np.outer(q[:, k:] @ v, v)
    return np.triu(r[:n]) + (q @ q.T)[:n, :n]


@program(_spd(25, 5), normal(26, 5))
def conjugate_gradients(np, a, b):
    x = np.zeros_like(b)
    r = b - a @ x
    p = r.copy()
    rs = r @ r
    for _ in range(len(b)):
        ap = a @ p
        alpha = rs / (p @ ap)
        x += alpha * p
        r -= alpha * ap
        rs_new = r @ r
        if np.sqrt(rs_new) < 1e-13:
            break
        p = r + (rs_new / rs) * p
        rs = rs_new
    return x


@program(_spd(27, 4))
def power_iteration_with_deflation(np, a):
    found = []
    for _ in range(2):
        v = np.ones(len(a))
        for _ in range(300):
            w = a @ v
            v = w / np.linalg.norm(w)
        value = v @ a @ v
        found.append(value)
        a = a - value * np.outer(v, v)
    return np.stack(found)


@program([0.5, 1.5])
def newton_for_a_system(np, parameters):
    a, b = parameters
    x, y = 1.0, 1.0
    for _ in range(50):
        f1, f2 = x**2 + a * y - 3, np.exp(-x) + b * y - 1
        j11, j12, j21, j22 = 2 * x, a, -np.exp(-x), b
        det = j11 * j22 - j12 * j21
        dx = (f1 * j22 - f2 * j12) / det
        dy = (j11 * f2 - j21 * f1) / det
        x, y = x - dx, y - dy
        if abs(dx) + abs(dy) < 1e-12:
            break
    return x * y


@program(normal(28, 3, 3) * 0.7)
def matrix_exponential(np, a):
    norm = np.linalg.norm(a, 1)
    squarings = max(0, int(np.ceil(np.log2(norm))) + 4)
    scaled = a / 2.0**squarings
    term = result = np.eye(a.shape[0])
    for k in range(1, 12):
        term = term @ scaled / k
        result = result + term
    for _ in range(squarings):
        result = result @ result
    return result


@program(_spd(29, 4), batch=False)
def jacobi_eigenvalues(np, matrix):
    a = matrix.copy()
    n = a.shape[0]
    for _ in range(30):
        off = np.abs(np.triu(a, 1))
        p, q = np.unravel_index(off.argmax(), off.shape)
        theta = 0.5 * np.arctan2(2 * a[p, q], a[q, q] - a[p, p])
        c, s = np.cos(theta), np.sin(theta)
        rotated = a.copy()
        rotated[:, p] = c * a[:, p] - s * a[:, q]
        rotated[:, q] = s * a[:, p] + c * a[:, q]
        a = rotated.copy()
        a[p, :] = c * rotated[p, :] - s * rotated[q, :]
        a[q, :] = s * rotated[p, :] + c * rotated[q, :]
    return np.sort(np.diag(a)) * np.arange(1, n + 1)


@program(normal(30, 5, 5))
def pagerank(np, scores):
    links = np.exp(scores)
    np.fill_diagonal(links, 0)
    transition = links / links.sum(axis=0, keepdims=True)
    n = transition.shape[0]
    rank = np.full(n, 1 / n)
    while True:
        new = 0.85 * transition @ rank + 0.15 / n
        if np.abs(new - rank).sum() < 1e-13:
            return new
        rank = new


@program(normal(31, 4, 5) ** 2, normal(32, 4), normal(33, 5))
def sinkhorn(np, cost, a, b):
    a, b = np.exp(a) / np.exp(a).sum(), np.exp(b) / np.exp(b).sum()
    kernel = np.exp(-cost / 0.8)
    u, v = np.ones_like(a), np.ones_like(b)
    for _ in range(60):
        u = a / (kernel @ v)
        v = b / (kernel.T @ u)
    plan = u[:, None] * kernel * v
    return np.sum(plan * cost)


@program(normal(34, 7) ** 2 + 1, normal(35, 6), plain=False)
def finite_elements(np, stiffness, load):
    """Bars in a row, assembled with np.add.at, solved for the displacements."""
    n = 8
    nodes = np.stack([np.arange(n - 1), np.arange(1, n)], axis=1)
    local = np.array([[1.0, -1.0], [-1.0, 1.0]])
    blocks = stiffness[:, None, None] * local
    rows = np.broadcast_to(nodes[:, :, None], blocks.shape)
    columns = np.broadcast_to(nodes[:, None, :], blocks.shape)
    K = np.zeros((n, n))
    np.add.at(K, (rows, columns), blocks)
    free = np.setdiff1d(np.arange(n), [0, n - 1])
    displacement = np.zeros(n)
    displacement[free] = np.linalg.solve(K[np.ix_(free, free)], load)
    return 0.5 * displacement @ K @ displacement


@program(normal(36, 4, 3), plain=False)
def gram_schmidt(np, vectors):
    basis = []
    for v in vectors.T:
        w = v - sum((np.dot(v, b) * b for b in basis), np.zeros(4))
        basis.append(w / np.linalg.norm(w))
    q = np.array(basis).T
    return np.sum(np.abs(q), axis=1)


@program(_spd(37, 5), normal(38, 5), plain=False)
def lanczos(np, a, start):
    n, k = len(start), 3
    q = np.zeros((n, k + 1))
    alpha, beta = np.zeros(k), np.zeros(k + 1)
    q[:, 0] = start / np.linalg.norm(start)
    for j in range(k):
        w = a @ q[:, j]
        if j:
            w -= beta[j] * q[:, j - 1]
        alpha[j] = w @ q[:, j]
        w -= alpha[j] * q[:, j]
        beta[j + 1] = np.linalg.norm(w)
        q[:, j + 1] = w / beta[j + 1]
    t = np.diag(alpha) + np.diag(beta[1:k], 1) + np.diag(beta[1:k], -1)
    return np.linalg.eigvalsh(t)


@program(normal(39, 3) * 0.1 + 1, smooth=False)
def gradient_descent_with_line_search(np, target):
    def loss(x):
        return np.sum((x**2 - target) ** 2)

    x = np.full_like(target, 0.7)
    for _ in range(5):
        slope = 4 * x * (x**2 - target)
        step = 1.0
        while loss(x - step * slope) > loss(x) - 0.5 * step * np.sum(slope**2):
            step /= 2
        x = x - step * slope
    return x


@program([1.0, -3.0, 2.5], [0.5, 0.2])
def polynomial_arithmetic(np, p, q):
    product = np.convolve(p, q)
    value = 0.0
    for coefficient in product[::-1]:
        value = value * 1.7 + coefficient
    derivative = np.polyder(np.flip(product))
    return value + np.polyval(derivative, 0.3)
