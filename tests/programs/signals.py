"""Images, signals, interpolation, networks, quantum circuits."""

from functools import reduce

import numpy

from .program import normal, program


@program(normal(70, 8, 8), normal(71, 3, 3), plain=False)
def image_filter_by_loops(np, image, kernel):
    h, w = image.shape
    out = np.zeros((h - 2, w - 2))
    for di in range(3):
        for dj in range(3):
            out += kernel[di, dj] * image[di : di + h - 2, dj : dj + w - 2]
    out[out < 0] *= 0.1
    return np.mean(out**2)


@program(normal(72, 6, 6))
def sobel_edges_and_total_variation(np, image):
    padded = np.pad(image, 1, mode="edge")
    gx = padded[1:-1, 2:] - padded[1:-1, :-2]
    gy = padded[2:, 1:-1] - padded[:-2, 1:-1]
    magnitude = np.hypot(gx, gy)
    tv = np.abs(np.diff(image, axis=0)).sum() + np.abs(np.diff(image, axis=1)).sum()
    return magnitude.mean() + 0.1 * tv + np.sum(np.gradient(image)[0] ** 2)


@program(normal(73, 5, 6), [[0.5, 1.2], [2.2, 3.7], [3.9, 0.1]])
def bilinear_interpolation(np, image, points):
    base = np.floor(points).astype(int)
    i, j = base[:, 0], base[:, 1]
    fraction = points - base
    u, v = fraction.T
    top = image[i, j] * (1 - v) + image[i, j + 1] * v
    bottom = image[i + 1, j] * (1 - v) + image[i + 1, j + 1] * v
    return top * (1 - u) + bottom * u


@program(numpy.sort(normal(74, 6)), normal(75, 6), [-0.2, 0.1, 0.4], plain=False)
def natural_cubic_spline(np, x, y, at):
    n = len(x)
    h = np.diff(x)
    A = np.zeros((n, n))
    b = np.zeros(n)
    A[0, 0] = A[-1, -1] = 1
    for i in range(1, n - 1):
        A[i, i - 1], A[i, i], A[i, i + 1] = h[i - 1], 2 * (h[i - 1] + h[i]), h[i]
        b[i] = 6 * ((y[i + 1] - y[i]) / h[i] - (y[i] - y[i - 1]) / h[i - 1])
    m = np.linalg.solve(A, b)
    k = np.clip(np.searchsorted(x, at) - 1, 0, n - 2)
    t, s = at - x[k], x[k + 1] - at
    curve = (m[k] * s**3 + m[k + 1] * t**3) / (6 * h[k])
    return curve + (y[k] / h[k] - m[k] * h[k] / 6) * s + (y[k + 1] / h[k] - m[k + 1] * h[k] / 6) * t


@program([0.31, 0.62], normal(76, 6))
def b_spline_by_recursion(np, at, control):
    knots = np.linspace(0, 1, 10)

    def basis(i, degree, t):
        if degree == 0:
            return np.where((knots[i] <= t) & (t < knots[i + 1]), 1.0, 0.0)
        left = (t - knots[i]) / (knots[i + degree] - knots[i])
        right = (knots[i + degree + 1] - t) / (knots[i + degree + 1] - knots[i + 1])
        return left * basis(i, degree - 1, t) + right * basis(i + 1, degree - 1, t)

    return sum(c * basis(i, 3, at) for i, c in enumerate(control))


@program([-0.7, 0.1, 0.9])
def legendre_recursion(np, x):
    def legendre(n):
        if n == 0:
            return np.ones_like(x)
        if n == 1:
            return x
        return ((2 * n - 1) * x * legendre(n - 1) - (n - 1) * legendre(n - 2)) / n

    return np.stack([legendre(n) for n in range(6)], axis=-1)


@program(normal(77, 10), normal(78, 10))
def polynomial_fit(np, x, y):
    vandermonde = np.vander(x, 4, increasing=True)
    coefficients, *_ = np.linalg.lstsq(vandermonde, y, rcond=None)
    fitted = np.polyval(coefficients[::-1], x)
    return np.sum((y - fitted) ** 2) + np.polyfit(x, y, 2)[0]


@program(normal(79, 5, 3), normal(80, 3, 8), normal(81, 8), normal(82, 8), 0.3)
def multilayer_perceptron(np, x, w1, b1, w2, b2):
    parameters = {"hidden": (w1, b1), "out": (w2, b2)}
    w, b = parameters["hidden"]
    hidden = np.tanh(np.dot(x, w) + b)
    w, b = parameters["out"]
    logits = hidden.dot(w) + b
    p = 1 / (1 + np.exp(-logits))
    target = np.array([1, 0, 1, 1, 0])
    return -np.mean(target * np.log(p) + (1 - target) * np.log1p(-p))


@program(normal(83, 2, 1, 7, 7), normal(84, 3, 1, 3, 3))
def convolution_by_windows(np, images, filters):
    windows = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(2, 3))
    features = np.einsum("ncijkl,fckl->nfij", windows, filters)
    features = np.maximum(features, 0.1 * features)[:, :, :4, :4]
    n, f, h, w = features.shape
    pooled = features.reshape(n, f, h // 2, 2, w // 2, 2).max(axis=(3, 5))
    return pooled.mean(axis=(0, 2, 3))


@program(normal(85, 4, 3), 0.5 * normal(86, 3, 16), 0.5 * normal(87, 4, 16))
def long_short_term_memory(np, sequence, wx, wh):
    def sigmoid(a):
        return 0.5 * (np.tanh(a / 2) + 1)

    h, c = np.zeros(4), np.zeros(4)
    outputs = []
    for x in sequence:
        i, f, o, g = np.split(x @ wx + h @ wh, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs)


@program(normal(88, 2, 5, 8), normal(89, 8, 24) / 3)
def causal_attention(np, x, projection):
    batch, length, width = x.shape
    q, k, v = np.split(x @ projection, 3, axis=-1)

    def heads(a):
        return a.reshape(batch, length, 2, width // 2).transpose(0, 2, 1, 3)

    q, k, v = heads(q), heads(k), heads(v)
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(width // 2)
    scores[..., ~np.tri(length, dtype=bool)] = -np.inf
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    scores /= scores.sum(-1, keepdims=True)
    out = (scores @ v).transpose(0, 2, 1, 3).reshape(batch, length, width)
    mean, var = out.mean(-1, keepdims=True), out.var(-1, keepdims=True)
    return np.mean(((out - mean) / np.sqrt(var + 1e-5)) ** 3)


@program(normal(90, 6))
def quantum_circuit(np, angles):
    identity = np.eye(2)
    pauli_z = np.diag([1.0, -1.0])

    def rotation(theta):
        c, s = np.cos(theta / 2), -1j * np.sin(theta / 2)
        return np.stack([np.stack([c, s]), np.stack([s, c])])

    def on(gate, qubit):
        return reduce(np.kron, [gate if q == qubit else identity for q in range(3)])

    flip = np.eye(8)[[0, 1, 2, 3, 6, 7, 4, 5]]
    state = np.zeros(8, dtype=complex)
    state[0] = 1
    for layer in angles.reshape(2, 3):
        for qubit, theta in enumerate(layer):
            state = on(rotation(theta), qubit) @ state
        state = flip @ (state * np.exp(0.3j * np.arange(8)))
    energy = np.vdot(state, on(pauli_z, 1) @ state).real
    return energy + np.abs(state[3]) ** 2 + np.angle(state[1])


@program(normal(91, 3, 3, 3), normal(92, 3))
def tensor_contractions(np, tensor, vector):
    once = np.einsum("ijk,k->ij", tensor, vector)
    sym = np.einsum("ij,kj->ik", once, once)
    full = np.tensordot(tensor, tensor, axes=([0, 1], [0, 1]))
    trace = np.einsum("iij->j", tensor)
    levi_civita = np.zeros((3, 3, 3))
    levi_civita[[0, 1, 2], [1, 2, 0], [2, 0, 1]] = 1
    levi_civita[[0, 2, 1], [2, 1, 0], [1, 0, 2]] = -1
    curl = np.einsum("ijk,jk->i", levi_civita, once)
    return np.trace(sym @ full) + trace @ vector + curl @ np.inner(sym, vector)


@program(normal(93, 8))
def haar_wavelet_in_place(np, signal):
    a = signal.copy()
    length = len(a)
    while length > 1:
        block = a[:length]
        even, odd = block[::2].copy(), block[1::2].copy()
        block[: length // 2] = (even + odd) / np.sqrt(2)
        block[length // 2 :] = (even - odd) / np.sqrt(2)
        length //= 2
    a[np.abs(a) < 0.2] = 0
    return np.sum(a**4)


@program(normal(94, 32), [0.3, 0.05])
def spectrogram(np, signal, window_parameters):
    a, b = window_parameters
    t = np.arange(8)
    window = (1 - a) - a * np.cos(2 * np.pi * t / 7) + b * np.cos(4 * np.pi * t / 7)
    frames = np.stack([signal[i : i + 8] * window for i in range(0, 25, 4)])
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    return np.log(power + 1e-3).mean(axis=0)


@program(normal(95, 8))
def sorting_network(np, values):
    """Batcher's odd-even merge sort with smooth comparators, in place."""
    a = values.copy()
    n = len(a)
    p = 1
    while p < n:
        k = p
        while k >= 1:
            for j in range(k % p, n - k, 2 * k):
                for i in range(min(k, n - j - k)):
                    if (i + j) // (2 * p) == (i + j + k) // (2 * p):
                        x, y = a[i + j], a[i + j + k]
                        s = 1 / (1 + np.exp(-5 * (y - x)))
                        a[i + j], a[i + j + k] = s * x + (1 - s) * y, s * y + (1 - s) * x
            k //= 2
        p *= 2
    return a


@program([-1.5, -0.5, 0.3, 1.7], 2.0)
def piecewise_and_select(np, x, slope):
    bent = np.piecewise(x, [x < -1, x > 1], [lambda t: -slope * t, lambda t: slope * t**2, np.sin])
    chosen = np.select([x < 0, x < 1], [x**2, slope * x], default=np.exp(-x))
    masked = np.where(x > 0, np.sqrt(np.abs(x)), x)
    return bent + chosen * masked + np.choose([0, 1, 1, 0], [x, slope * x])


@program([0.3, 0.4, 2.0], 0.6)
def ray_marching(np, direction, radius):
    """A sphere and a plane as a signed distance; the number of steps depends on the values."""
    direction = direction / np.linalg.norm(direction)

    def distance(p):
        sphere = np.linalg.norm(p - np.array([0.0, 0.5, 3.0])) - radius
        return np.minimum(sphere, p[1] + 1.0)

    t = 0.0
    for _ in range(100):
        d = distance(t * direction)
        if d < 1e-9 or t > 20:
            break
        t = t + d
    return t


@program(normal(96, 2, 3), normal(97, 12))
def volume_rendering(np, colour_weights, density):
    sigma = np.log1p(np.exp(density))
    delta = 0.2
    alpha = 1 - np.exp(-sigma * delta)
    transmittance = np.cumprod(np.append(1.0, 1 - alpha[:-1] + 1e-10))
    weights = alpha * transmittance
    depth = np.linspace(0, 1, 12)
    colours = 1 / (1 + np.exp(-(np.stack([depth, depth**2], axis=1) @ colour_weights)))
    return weights @ colours


@program(normal(98, 4, 5), 0.7)
def batch_norm_and_dropout(np, x, keep):
    rng = np.random.default_rng(3)
    mask = rng.random(x.shape) < 0.7
    mean = np.average(x, axis=0, weights=np.arange(1.0, 5.0))
    normed = (x - mean) / np.std(x, axis=0)
    normed *= mask / keep
    embedded = np.zeros_like(normed)
    np.add.at(embedded, [0, 2, 2, 1], normed)
    return np.take(embedded, [2, 0], axis=0)


@program(normal(99, 20), normal(100, 20))
def segment_sums(np, values, scores):
    groups = np.arange(20) % 4
    order = np.argsort(groups, kind="stable")
    sums = np.add.reduceat(values[order], [0, 5, 10, 15])
    counted = np.bincount(groups, weights=scores**2, minlength=5)
    lookup = {name: counted[i] for i, name in enumerate("abcd")}
    return sums * counted[:4] + lookup["a"] - lookup["d"]
