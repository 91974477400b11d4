"""Numerical methods, filters, graphs, control, actuarial and learning algorithms."""

import numpy

from .program import normal, program


def _fft(np, x):
    n = x.shape[0]
    if n == 1:
        return x
    even, odd = _fft(np, x[::2]), _fft(np, x[1::2])
    twiddle = np.exp(-2j * np.pi * np.arange(n // 2) / n)
    return np.concatenate([even + twiddle * odd, even - twiddle * odd])


@program(normal(130, 8))
def recursive_fft(np, x):
    spectrum = _fft(np, x + 0j)
    return np.abs(spectrum) ** 2 - np.abs(np.fft.fft(x)) ** 2 + spectrum.real * spectrum.imag


@program(normal(131, 8), plain=False)
def fft_in_place(np, x):
    a = np.empty(8, dtype=np.complex128)
    a[:] = x
    j = 0
    for i in range(1, 8):
        bit = 4
        while j & bit:
            j ^= bit
            bit >>= 1
        j |= bit
        if i < j:
            a[i], a[j] = a[j], a[i]
    size = 2
    while size <= 8:
        for start in range(0, 8, size):
            half = size // 2
            for k in range(half):
                t = np.exp(-2j * np.pi * k / size) * a[start + k + half]
                a[start + k + half] = a[start + k] - t
                a[start + k] += t
        size *= 2
    return np.stack([a.real, a.imag])


@program([1.2, 0.4], plain=False)
def romberg_table(np, parameters):
    a, b = parameters

    def f(x):
        return np.exp(-a * x) * np.cos(b * x)

    R = np.zeros((5, 5))
    R[0, 0] = 0.5 * (f(0.0) + f(2.0))
    for i in range(1, 5):
        h = 2.0 / 2**i
        middles = np.arange(1, 2**i, 2) * h
        R[i, 0] = 0.5 * R[i - 1, 0] + h * np.sum(f(middles))
        for j in range(1, i + 1):
            R[i, j] = R[i, j - 1] + (R[i, j - 1] - R[i - 1, j - 1]) / (4**j - 1)
    return R[4, 4]


@program([0.3, 1.7, 0.9])
def gauss_quadrature_and_simpson(np, c):
    nodes, weights = np.polynomial.legendre.leggauss(6)
    gauss = np.sum(weights * np.exp(-((nodes * c[0]) ** 2)))
    x = np.linspace(0, c[1], 9)
    w = np.ones(9)
    w[1:-1:2], w[2:-1:2] = 4, 2
    simpson = (x[1] - x[0]) / 3 * (w @ np.sin(c[2] * x))
    return gauss + simpson + np.trapezoid(x**2, x)


@program(normal(132, 6), 0.3)
def barycentric_interpolation(np, values, at):
    n = len(values)
    nodes = np.cos(np.pi * np.arange(n) / (n - 1))
    w = (-1.0) ** np.arange(n)
    w[[0, -1]] *= 0.5
    terms = w / (at - nodes)
    return (terms @ values) / terms.sum()


@program(normal(133, 9))
def chebyshev_differentiation(np, values):
    n = len(values) - 1
    x = np.cos(np.pi * np.arange(n + 1) / n)
    c = np.hstack([2, np.ones(n - 1), 2]) * (-1) ** np.arange(n + 1)
    X = np.tile(x, (n + 1, 1)).T
    dX = X - X.T
    D = np.outer(c, 1 / c) / (dX + np.eye(n + 1))
    D -= np.diag(D.sum(axis=1))
    return D @ (D @ values)


@program(normal(134, 20), [0.3, -0.2], [0.5, 0.1])
def recursive_filter(np, signal, a, b):
    out = np.zeros_like(signal)
    for n in range(2, len(signal)):
        out[n] = b @ signal[n - 1 : n + 1][::-1] - a @ out[n - 2 : n][::-1]
    return out


@program(normal(135, 12))
def compensated_sum_and_running_moments(np, x):
    total = c = 0.0
    mean, m2 = 0.0, 0.0
    for n, value in enumerate(x * 1.5, start=1):
        y = value - c
        t = total + y
        c = (t - total) - y
        total = t
        delta = value - mean
        mean += delta / n
        m2 += delta * (value - mean)
    drawdown = np.max(np.maximum.accumulate(np.cumsum(x)) - np.cumsum(x))
    return total + m2 / (len(x) - 1) + drawdown


@program(normal(136, 5, 5) ** 2 + 0.1)
def floyd_warshall(np, lengths):
    d = lengths.copy()
    d[np.diag_indices_from(d)] = 0
    for k in range(d.shape[0]):
        np.minimum(d, d[:, k, None] + d[None, k, :], out=d)
    return d


@program(normal(137, 3, 4, 4), normal(138, 4, 3))
def value_iteration(np, logits, rewards):
    transition = np.exp(logits)
    transition /= transition.sum(axis=-1, keepdims=True)
    value = np.zeros(4)
    for _ in range(30):
        q = rewards + 0.8 * np.einsum("ast,t->sa", transition, value)
        value = q.max(axis=1)
    policy = q.argmax(axis=1)
    P = transition[policy, np.arange(4)]
    exact = np.linalg.solve(np.eye(4) - 0.8 * P, rewards[np.arange(4), policy])
    return exact + 0.01 * value


@program(normal(139, 3, 3) * 0.5, normal(140, 3, 1))
def riccati_iteration(np, a, b):
    q, r = np.eye(3), np.array([[0.5]])
    p = q
    for _ in range(100):
        gain = np.linalg.solve(r + b.T @ p @ b, b.T @ p @ a)
        p_new = q + a.T @ p @ (a - b @ gain)
        if np.max(np.abs(p_new - p)) < 1e-12:
            break
        p = p_new
    return np.trace(p) + gain.squeeze()[1]


@program(normal(141, 10), normal(142, 10, 2), [0.4, -0.7])
def cox_partial_likelihood(np, times, covariates, beta):
    order = np.argsort(-times)
    risk = covariates[order] @ beta
    events = np.arange(10) % 3 != 0
    log_cumulative = np.logaddexp.accumulate(risk)
    return np.sum((risk - log_cumulative)[events])


@program(normal(143, 15) * 0.1, [0.05, 0.1, 0.8])
def garch_likelihood(np, returns, parameters):
    omega, alpha, beta = parameters
    variance = np.empty_like(returns)
    variance[0] = np.var(returns)
    for t in range(1, returns.size):
        variance[t] = omega + alpha * returns[t - 1] ** 2 + beta * variance[t - 1]
    return -0.5 * np.sum(np.log(2 * np.pi * variance) + returns**2 / variance)


@program([98.0, 3.0, 5.0])
def bond_yield_by_bisection_and_newton(np, bond):
    price, coupon, years = bond
    periods = np.arange(1, 11)

    def excess(y):
        discount = (1 + y / 2) ** -periods
        return coupon / 2 * discount.sum() + 100 * discount[-1] * (years / 5) - price

    low, high = 0.0, 0.2
    while high - low > 0.01:
        middle = (low + high) / 2
        if excess(middle) > 0:
            low = middle
        else:
            high = middle
    y = (low + high) / 2
    for _ in range(6):
        slope = (excess(y + 1e-3) - excess(y - 1e-3)) / 2e-3
        y = y - excess(y) / slope
    return 100 * y


@program(normal(144, 8), smooth=False)
def isotonic_regression(np, y):
    """Pools adjacent violators, in lists of traced numbers."""
    values, weights = [], []
    for v in y:
        values.append(v)
        weights.append(1)
        while len(values) > 1 and values[-2] > values[-1]:
            v2, w2 = values.pop(), weights.pop()
            v1, w1 = values.pop(), weights.pop()
            values.append((w1 * v1 + w2 * v2) / (w1 + w2))
            weights.append(w1 + w2)
    return np.repeat(np.stack(values), weights)


@program(normal(145, 3, 2), normal(146, 2))
def elo_ratings(np, skills, scale):
    ratings = {name: skills[i] @ scale for i, name in enumerate(("ann", "bob", "eve"))}
    games = [("ann", "bob", 1), ("bob", "eve", 0), ("eve", "ann", 0.5), ("ann", "bob", 0)]
    loss = 0
    for first, second, score in games:
        expected = 1 / (1 + 10 ** ((ratings[second] - ratings[first]) / 4))
        loss = loss + (score - expected) ** 2
        change = 0.3 * (score - expected)
        ratings[first] += change
        ratings[second] -= change
    return loss + sum(ratings.values()) ** 2


@program(normal(147, 25), 0.4)
def kernel_density_and_mode(np, samples, bandwidth):
    grid = np.linspace(-2, 2, 21)
    u = (grid[:, None] - samples[None, :]) / bandwidth
    density = np.exp(-0.5 * u**2).mean(axis=1) / (bandwidth * np.sqrt(2 * np.pi))
    k = np.argmax(density)
    left, middle, right = density[k - 1 : k + 2]
    offset = 0.5 * (left - right) / (left - 2 * middle + right)
    return grid[k] + offset * (grid[1] - grid[0])


@program(normal(148, 10), normal(149, 10))
def smoothing_with_local_fits(np, x, y):
    fitted = np.empty_like(y)
    for i, centre in enumerate(x):
        distance = np.abs(x - centre)
        h = np.sort(distance)[6]
        w = np.where(distance < 1.3 * h, (1 - (distance / (1.3 * h)) ** 3) ** 3, 0)
        X = np.stack([np.ones_like(x), x - centre], axis=1)
        XtW = X.T * w
        fitted[i] = np.linalg.solve(XtW @ X, XtW @ y)[0]
    return fitted


@program(normal(150, 6, 6), normal(151, 6, 6), plain=False)
def deconvolution_richardson_lucy(np, image, blur):
    psf = np.exp(blur) / np.exp(blur).sum()
    observed = np.exp(image)
    otf = np.fft.fft2(np.fft.ifftshift(psf))
    estimate = np.full(observed.shape, 1.0)
    for _ in range(5):
        model = np.fft.ifft2(np.fft.fft2(estimate) * otf).real
        ratio = observed / model
        estimate *= np.real(np.fft.ifft2(np.fft.fft2(ratio) * otf.conj()))
    return estimate


@program(numpy.linspace(-1, 1, 6), normal(152, 6), smooth=False)
def interpolated_table(np, x, y):
    fine = np.linspace(-1.3, 1.3, 9)
    table = np.interp(fine, x, y, left=0.0)
    levels = np.quantile(y, [0.25, 0.75])
    inside = (table >= levels[0]) & (table <= levels[1])
    return np.append(table[inside] ** 2, [np.nanmax(table), np.ptp(levels)])


@program(normal(153, 7))
def levinson_durbin(np, x):
    r = np.correlate(x, x, mode="full")[6:]
    a = np.zeros(4)
    a = np.concatenate([np.ones(1), a[:0]])
    error = r[0]
    for k in range(1, 4):
        reflection = -np.dot(a, r[k:0:-1]) / error
        padded = np.append(a, 0.0)
        a = padded + reflection * padded[::-1]
        error *= 1 - reflection**2
    return np.append(a, error)


@program(normal(154, 6, 2), normal(155, 2, 2))
def metropolis_with_fixed_noise(np, data, factor):
    rng = np.random.default_rng(11)
    precision = factor @ factor.T + np.eye(2)

    def log_density(t):
        centred = data - t
        return -0.5 * np.einsum("ni,ij,nj->", centred, precision, centred)

    state = data.mean(axis=0)
    accepted = 0
    for _ in range(8):
        proposal = state + 0.3 * rng.standard_normal(2)
        if np.log(rng.random()) < log_density(proposal) - log_density(state):
            state, accepted = proposal, accepted + 1
    return state * (1 + accepted)


@program(normal(156, 6))
def karatsuba(np, digits):
    def multiply(a, b):
        n = len(a)
        if n <= 2:
            return np.convolve(a, b)
        m = n // 2
        low, high = multiply(a[:m], b[:m]), multiply(a[m:], b[m:])
        padded_a, padded_b = np.zeros_like(a[m:]), np.zeros_like(b[m:])
        padded_a[:m], padded_b[:m] = a[:m], b[:m]
        middle = multiply(a[m:] + padded_a, b[m:] + padded_b)
        out = np.zeros_like(a, shape=2 * n - 1)
        out[: len(low)] += low
        out[2 * m :] += high
        out[m : m + len(middle)] += middle
        out[m : m + len(low)] -= low
        out[m : m + len(high)] -= high
        return out

    return multiply(digits, digits[::-1])


@program(normal(157, 4), normal(158, 4, 4))
def bfgs_by_hand(np, start, factor):
    quadratic = factor @ factor.T + 2 * np.eye(4)

    def gradient(x):
        return quadratic @ x + 0.1 * x**3 - 1

    x, H = start, np.eye(4) / 10
    g = gradient(x)
    for _ in range(6):
        step = -H @ g
        x_new = x + step
        g_new = gradient(x_new)
        y = g_new - g
        rho = 1 / (y @ step)
        V = np.eye(4) - rho * np.outer(step, y)
        H = V @ H @ V.T + rho * np.outer(step, step)
        x, g = x_new, g_new
    return x
