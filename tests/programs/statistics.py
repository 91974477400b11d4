"""Statistics, time series, finance, random numbers."""

import numpy

from .program import normal, program


def _logsumexp(np, a, axis=None):
    top = np.max(a, axis=axis, keepdims=True)
    total = np.log(np.sum(np.exp(a - top), axis=axis, keepdims=True)) + top
    return np.squeeze(total, axis=axis) if axis is not None else total.item()


@program([0.2, 0.1, -0.3], normal(40, 12), plain=False)
def kalman_filter(np, logs, observations):
    q, r, damping = np.exp(logs[0]), np.exp(logs[1]), np.tanh(logs[2])
    F = np.array([[1.0, 0.1], [-0.1, 1.0 + damping * 0.1]])
    H = np.array([[1.0, 0.0]])
    Q, R = q * np.eye(2), np.atleast_2d(r)
    mean, cov = np.zeros(2), np.eye(2)
    loglik = 0
    for y in observations:
        mean = F @ mean
        cov = F @ cov @ F.T + Q
        innovation = y - H @ mean
        S = H @ cov @ H.T + R
        gain = cov @ H.T @ np.linalg.inv(S)
        mean = mean + gain @ innovation
        cov = (np.eye(2) - gain @ H) @ cov
        _, logdet = np.linalg.slogdet(2 * np.pi * S)
        loglik -= 0.5 * (logdet + innovation @ np.linalg.solve(S, innovation))
    return loglik


@program(normal(41, 3, 3), normal(42, 3, 4))
def hidden_markov_forward(np, transition_logits, emission_logits):
    transition = transition_logits - np.logaddexp.reduce(transition_logits, axis=1)[:, None]
    emission = emission_logits - _logsumexp(np, emission_logits, axis=1)[:, None]
    observed = [0, 3, 2, 2, 1, 0, 3]
    alpha = np.log(np.full(3, 1 / 3)) + emission[:, observed[0]]
    for symbol in observed[1:]:
        alpha = _logsumexp(np, alpha[:, None] + transition, axis=0) + emission[:, symbol]
    return np.logaddexp.reduce(alpha)


@program(normal(43, 4, 4), normal(44, 6, 4))
def viterbi(np, transition, emission):
    steps, states = emission.shape
    score = emission[0]
    back = np.zeros((steps, states), dtype=int)
    for t in range(1, steps):
        candidates = score[:, None] + transition
        back[t] = np.argmax(candidates, axis=0)
        score = candidates[back[t], np.arange(states)] + emission[t]
    return np.max(score)


@program([0.1, 0.4, -2.0], normal(45, 8), normal(46, 8))
def gaussian_process_likelihood(np, hyper, x, y):
    amplitude, scale, noise = np.exp(hyper)
    gap = x[:, None] - x[None, :]
    K = amplitude * np.exp(-0.5 * (gap / scale) ** 2) + (noise + 1e-3) * np.eye(len(x))
    L = np.linalg.cholesky(K)
    z = np.linalg.solve(L, y)
    return -0.5 * z @ z - np.log(np.diagonal(L)).sum() - 0.5 * len(x) * np.log(2 * np.pi)


@program(normal(47, 2, 2), normal(48, 20, 2))
def gaussian_mixture_em(np, start, data):
    means = start.copy()
    weights, spread = np.array([0.5, 0.5]), np.ones(2)
    for _ in range(3):
        d2 = np.sum((data[:, None, :] - means) ** 2, axis=2)
        logs = np.log(weights) - np.log(spread) - d2 / (2 * spread)
        logs -= logs.max(axis=1, keepdims=True)
        responsibility = np.exp(logs)
        responsibility /= responsibility.sum(axis=1, keepdims=True)
        total = responsibility.sum(axis=0)
        means = (responsibility.T @ data) / total[:, None]
        weights = total / len(data)
        spread = (responsibility * d2).sum(axis=0) / (2 * total)
    return np.concatenate([means.ravel(), weights, spread])


@program(normal(49, 4), normal(50, 15, 3))
def logistic_regression(np, w, features):
    labels = features @ np.array([1.0, -2.0, 0.5]) > 0
    X = np.column_stack([features, np.ones(len(features))])
    margin = np.where(labels, 1, -1) * (X @ w)
    loss = np.mean(np.logaddexp(0, -margin))
    return loss + 0.01 * np.sum(np.square(w[:-1]))


@program(normal(51, 3, 2), normal(52, 12, 2), plain=False, smooth=False)
def k_means_loss(np, centres, points):
    centres = np.array(centres)
    for _ in range(2):
        distance = np.linalg.norm(points[:, np.newaxis] - centres, axis=-1)
        nearest = distance.argmin(axis=1)
        for k in range(len(centres)):
            members = points[nearest == k]
            if len(members):
                centres[k] = 0.5 * centres[k] + 0.5 * members.mean(axis=0)
    return np.sum(np.min(np.linalg.norm(points[:, None] - centres, axis=2), axis=1))


@program(normal(53, 12, 4), normal(54, 12), 0.8)
def lasso_coordinate_descent(np, X, y, strength):
    beta = np.zeros_like(X[0])
    residual = y - X @ beta
    for _ in range(4):
        for j in range(X.shape[1]):
            column = X[:, j]
            residual += column * beta[j]
            rho = column @ residual
            beta[j] = np.sign(rho) * max(abs(rho) - strength, 0) / (column @ column)
            residual -= column * beta[j]
    return beta


@program(normal(55, 10, 4))
def principal_components(np, data):
    centred = data - data.mean(axis=0)
    cov = np.cov(centred, rowvar=False)
    values, vectors = np.linalg.eigh(cov)
    order = np.argsort(values)[::-1]
    vectors = vectors[:, order[:2]]
    projected = centred @ vectors
    explained = values[order] / values.sum()
    return np.sum((projected @ vectors.T - centred) ** 2) + explained[0]


@program(100.0, 105.0, 0.2, 0.03)
def monte_carlo_option(np, spot, strike, volatility, rate):
    rng = np.random.default_rng(42)
    z = rng.standard_normal((50, 8))
    h = 1 / 8
    steps = (rate - 0.5 * volatility**2) * h + volatility * np.sqrt(h) * z
    paths = spot * np.exp(np.cumsum(steps, axis=1))
    payoff = np.maximum(paths.mean(axis=1) - strike, 0)
    return np.exp(-rate) * payoff.mean()


@program([95.0, 100.0, 110.0], 0.25, 0.02)
def black_scholes(np, strikes, volatility, rate):
    def normal_cdf(x):
        # Abramowitz and Stegun 26.2.17
        t = 1 / (1 + 0.2316419 * np.abs(x))
        poly = np.polyval([1.330274429, -1.821255978, 1.781477937, -0.356563782, 0.31938153, 0], t)
        tail = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi) * poly
        return np.where(x >= 0, 1 - tail, tail)

    spot, maturity = 100.0, 0.5
    d1 = (np.log(spot / strikes) + (rate + volatility**2 / 2) * maturity) / (
        volatility * np.sqrt(maturity)
    )
    d2 = d1 - volatility * np.sqrt(maturity)
    return spot * normal_cdf(d1) - strikes * np.exp(-rate * maturity) * normal_cdf(d2)


@program(100.0, 102.0, 0.3, smooth=False)
def american_put_binomial_tree(np, spot, strike, volatility):
    steps, h, rate = 8, 0.1, 0.05
    up = np.exp(volatility * np.sqrt(h))
    p = (np.exp(rate * h) - 1 / up) / (up - 1 / up)
    j = np.arange(steps + 1)
    prices = spot * up ** (2 * j - steps)
    values = np.maximum(strike - prices, 0)
    for i in range(steps - 1, -1, -1):
        values = np.exp(-rate * h) * (p * values[1 : i + 2] + (1 - p) * values[: i + 1])
        exercise = strike - spot * up ** (2 * j[: i + 1] - i)
        values = np.maximum(values, exercise)
    return values[0]


@program(normal(56, 7), normal(57, 6), plain=False)
def dynamic_time_warping(np, a, b):
    n, m = len(a), len(b)
    table = np.full((n + 1, m + 1), np.inf)
    table[0, 0] = 0
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            cost = (a[i - 1] - b[j - 1]) ** 2
            table[i, j] = cost + min(table[i - 1, j], table[i, j - 1], table[i - 1, j - 1])
    return table[n, m]


@program(normal(58, 30), [0.6, -0.2])
def arma_likelihood(np, series, coefficients):
    phi, theta = coefficients
    errors = [series[0]]
    for t in range(1, series.size):
        errors.append(series[t] - phi * series[t - 1] - theta * errors[-1])
    errors = np.stack(errors)
    variance = errors.var(ddof=1)
    return 0.5 * len(errors) * np.log(variance) + np.sum(errors**2) / (2 * variance)


@program(normal(59, 40))
def soft_histogram_entropy(np, samples):
    edges = np.linspace(-2, 2, 9)
    centres = (edges[1:] + edges[:-1]) / 2
    membership = np.exp(-(((samples[:, None] - centres) / 0.3) ** 2))
    counts = membership.sum(axis=0)
    p = counts / counts.sum()
    hard, _ = np.histogram(samples, bins=edges)
    weighted, _ = np.histogram(np.clip(samples, -1.9, 1.9), bins=edges, weights=samples**2)
    return -np.sum(p * np.log(p)) + hard[3] * p[0] + np.sum(weighted**2)


@program(normal(60, 9), smooth=False)
def robust_statistics(np, x):
    median = np.median(x)
    mad = np.median(np.abs(x - median))
    low, high = np.percentile(x, [10, 90])
    clipped = np.clip(x, low, high)
    z = (clipped - median) / (1.4826 * mad)
    huber = np.where(np.abs(z) < 1, 0.5 * z**2, np.abs(z) - 0.5)
    trimmed = np.sort(x)[2:-2].mean()
    return huber.sum() + trimmed + np.ptp(x)


@program(normal(61, 5), 0.3)
def hamiltonian_monte_carlo_step(np, q, step):
    rng = np.random.default_rng(7)
    A = rng.normal(size=(5, 5))
    precision = A @ A.T + np.eye(5)

    def potential(q):
        return 0.5 * q @ precision @ q

    p = rng.standard_normal(5)
    start = potential(q) + 0.5 * p @ p
    step = 0.1 * step
    p = p - 0.5 * step * precision @ q
    for _ in range(4):
        q = q + step * p
        p = p - step * precision @ q
    p = p + 0.5 * step * precision @ q
    change = start - potential(q) - 0.5 * p @ p
    accepted = np.log(rng.uniform()) < change
    return np.where(accepted, q, 0.0) + min(1.0, np.exp(change))


@program(normal(62, 6, 3), smooth=True)
def ranking_losses(np, scores):
    order = np.array([2, 0, 1])
    picked = np.take_along_axis(scores, order[None, :], axis=1)
    tail = np.flip(np.logaddexp.accumulate(np.flip(picked, 1), axis=1), 1)
    likelihood = np.sum(picked - tail)
    pairs = scores[..., :, None] - scores[..., None, :]
    upper = np.triu(np.ones((3, 3), dtype=bool), 1)
    hinge = np.log1p(np.exp(-pairs[:, upper]))
    return likelihood - hinge.mean()


@program(numpy.array([[2.0, 1.0], [0.5, 1.5], [1.0, 3.0]]))
def missing_data_regression(np, data):
    """NaN marks what is missing; the derivatives of what is there stay finite."""
    table = data.copy()
    table[1, 1] = np.nan
    means = np.nanmean(table, axis=0)
    filled = np.where(np.isnan(table), means, table)
    x, y = filled.T
    slope = np.sum((x - x.mean()) * (y - y.mean())) / np.sum((x - x.mean()) ** 2)
    return np.stack([slope, y.mean() - slope * x.mean(), np.nanstd(table)])
