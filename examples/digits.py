"""Teach a small neural network to read handwritten digits.

The data are the 1,797 scanned digits (8 by 8 pixels) that come with scikit-learn. The network is
plain NumPy with its parameters in a dict; xnp gives the gradient of its loss, SciPy's L-BFGS-B
finds the minimum. A quarter of the images is held out to see how well it reads new ones.
"""

import argparse
import time

import matplotlib
import numpy
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from scipy.optimize import minimize
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import xnp as np


def initial_parameters(rng, pixels, hidden, classes):
    def matrix(rows, columns):
        return rng.normal(size=(rows, columns)) / rows**0.5

    return {
        "W1": matrix(pixels, hidden),
        "b1": numpy.zeros(hidden),
        "W2": matrix(hidden, classes),
        "b2": numpy.zeros(classes),
    }


def scores(parameters, images):
    hidden = np.tanh(images @ parameters["W1"] + parameters["b1"])
    return hidden @ parameters["W2"] + parameters["b2"]


def loss(parameters, images, labels, decay):
    """Mean cross entropy of the softmax probabilities, and a penalty on large weights."""
    s = scores(parameters, images)
    top = np.max(s, axis=1, keepdims=True)
    log_total = np.log(np.sum(np.exp(s - top), axis=1)) + top[:, 0]
    cross_entropy = np.mean(log_total - s[np.arange(len(labels)), labels])
    penalty = np.sum(parameters["W1"] ** 2) + np.sum(parameters["W2"] ** 2)
    return cross_entropy + decay * penalty


def flatten(parameters):
    return numpy.concatenate([parameters[name].ravel() for name in sorted(parameters)])


def unflatten(flat, like):
    parameters, start = {}, 0
    for name in sorted(like):
        stop = start + like[name].size
        parameters[name] = flat[start:stop].reshape(like[name].shape)
        start = stop
    return parameters


def train(parameters, images, labels, decay, iterations):
    """The trained parameters and the loss after every iteration."""
    value_and_grad = np.jit(np.value_and_grad(loss))

    def objective(flat):
        value, gradient = value_and_grad(unflatten(flat, parameters), images, labels, decay)
        return value, flatten(gradient)

    history = [loss(parameters, images, labels, decay)]
    with tqdm(total=iterations, unit=" iterations") as progress:

        def callback(intermediate_result):
            history.append(intermediate_result.fun)
            progress.set_postfix(loss=f"{history[-1]:.4f}")
            progress.update()

        options = {"maxiter": iterations}
        start = flatten(parameters)
        with threadpool_limits(1):  # the matrices are small: threads would only wait for others
            found = minimize(
                objective, start, method="L-BFGS-B", jac=True, options=options, callback=callback
            )
    return unflatten(found.x, parameters), history


def gradient_error(parameters, images, labels, decay, rng):
    """The largest relative error against central differences along random directions."""
    gradient = flatten(np.grad(loss)(parameters, images, labels, decay))
    flat = flatten(parameters)
    errors = []
    for _ in range(5):
        direction = rng.normal(size=flat.size)
        direction /= numpy.linalg.norm(direction)
        step = 1e-4
        ahead, behind = (
            loss(unflatten(flat + h * direction, parameters), images, labels, decay)
            for h in (step, -step)
        )
        errors.append(abs((ahead - behind) / (2 * step) - gradient @ direction))
    return max(errors) / numpy.linalg.norm(gradient)


def accuracy(parameters, images, labels):
    return numpy.mean(numpy.argmax(scores(parameters, images), axis=1) == labels)


INK, MUTED, FAINT, BLUE, RED = "#1f2933", "#7b8794", "#e4e7eb", "#2563ab", "#d1242f"
STYLE = {"font.size": 11, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": MUTED}


def draw_curve(axes, history):
    axes.semilogy(history, color=BLUE, linewidth=2)
    axes.set_title("Training loss", loc="left", fontweight="bold")
    axes.set_xlabel("L-BFGS iteration")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(color=FAINT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=MUTED, which="both")
    axes.margins(x=0.01)


def draw_digit(axes, picture, guess, label):
    right = guess == label
    axes.imshow(picture, cmap="gray_r", interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    text = f"{guess}" if right else f"{guess}, is {label}"
    axes.set_xlabel(text, color=INK if right else RED, labelpad=3)
    for spine in axes.spines.values():
        spine.set(color="#cbd2d9" if right else RED, linewidth=1 if right else 2)


def draw(path, history, pictures, guesses, labels, title):
    """The loss curve, and test images with the network's guesses, the wrong ones first."""
    rows, columns = 4, 8
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(12, 5.2), dpi=130, layout="constrained")
        left, right = figure.subfigures(1, 2, width_ratios=[1, 1.3], wspace=0.04)
        draw_curve(left.subplots(), history)
        right.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12)
        order = numpy.argsort(guesses == labels, kind="stable")
        for axes, i in zip(right.subplots(rows, columns).flat, order, strict=False):
            draw_digit(axes, pictures[i], guesses[i], labels[i])
        figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0, help="of the split and the first weights")
    parser.add_argument("--hidden", type=int, default=64, help="hidden units (default 64)")
    parser.add_argument("--decay", type=float, default=1e-4, help="weight penalty (default 1e-4)")
    parser.add_argument("--iterations", type=int, default=100, help="of L-BFGS (default 100)")
    parser.add_argument("--output", default="digits.png", help="picture (default digits.png)")
    options = parser.parse_args()

    start = time.perf_counter()
    rng = numpy.random.default_rng(options.seed)
    digits = load_digits()
    images = digits.data / 16.0
    split = train_test_split(
        images, digits.target, test_size=0.25, stratify=digits.target, random_state=options.seed
    )
    train_images, test_images, train_labels, test_labels = split
    mean = train_images.mean(axis=0)
    train_images, test_images = train_images - mean, test_images - mean
    parameters = initial_parameters(rng, images.shape[1], options.hidden, 10)
    count = sum(p.size for p in parameters.values())
    print(f"{len(train_labels)} images to learn from, {len(test_labels)} held out")
    print(f"{images.shape[1]} pixels -> {options.hidden} tanh -> 10 classes: {count:,} parameters")

    few = train_images[:50], train_labels[:50]
    np.testing.check_grads(lambda p: loss(p, *few, options.decay), (parameters,))
    error = gradient_error(parameters, train_images, train_labels, options.decay, rng)
    print(f"gradient: check_grads passed, relative error by central differences {error:.1e}")
    parameters, history = train(
        parameters, train_images, train_labels, options.decay, options.iterations
    )
    test_accuracy = accuracy(parameters, test_images, test_labels)
    print(f"loss {history[0]:.3f} -> {history[-1]:.3f} in {len(history) - 1} iterations")
    print(f"train accuracy {accuracy(parameters, train_images, train_labels):.4f}")
    print(f"test accuracy  {test_accuracy:.4f}")
    guesses = numpy.argmax(scores(parameters, test_images), axis=1)
    pictures = (test_images + mean).reshape(-1, 8, 8)
    title = f"Held-out digits: {test_accuracy:.1%} read correctly (mistakes first, in red)"
    draw(options.output, history, pictures, guesses, test_labels, title)
    print(f"wrote {options.output}; {time.perf_counter() - start:.1f} s in all")


if __name__ == "__main__":
    main()
