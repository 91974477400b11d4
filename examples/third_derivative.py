"""Plot a function written with a loop and a branch, and its first three derivatives."""

import argparse

import matplotlib
import numpy
from matplotlib.figure import Figure

import xnp as np

INK, MUTED, FAINT = "#1f2933", "#7b8794", "#e4e7eb"
COLORS = ("#2563ab", "#c2410c", "#15803d", "#7e22ce")
STYLE = {"font.size": 11, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": MUTED}


def f(t):
    """A wave whose overtones fade: any Python that computes with arrays will do."""
    total = 0.0
    for k in range(1, 6):
        if k % 2:
            total = total + np.sin(k * t) / k**3
    return total * np.exp(-(t**2) / 20)


def draw(path, t, curves):
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 6), dpi=130, layout="constrained")
        axes = figure.subplots(len(curves), 1, sharex=True)
        for ax, (name, y), color in zip(axes, curves.items(), COLORS, strict=True):
            ax.axhline(0, color=FAINT, linewidth=1, zorder=0)
            ax.plot(t, y, color=color, linewidth=2)
            ax.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=13, color=color)
            ax.spines[["top", "right"]].set_visible(False)
            ax.tick_params(colors=MUTED)
            ax.margins(x=0)
        axes[0].set_title("A function and its derivatives by xnp", loc="left", fontweight="bold")
        axes[-1].set_xlabel("t")
        figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", default="third_derivative.png", help="where the picture goes")
    options = parser.parse_args()

    t = numpy.linspace(-8, 8, 801)
    third = np.grad(np.grad(np.grad(f)))
    curves = {
        "f": f(t),
        "f ′": np.vmap(np.grad(f))(t),
        "f ″": np.vmap(np.grad(np.grad(f)))(t),
        "f ‴": np.vmap(third)(t),
    }
    step = 1e-3
    differences = (f(1 + 2 * step) - 2 * f(1 + step) + 2 * f(1 - step) - f(1 - 2 * step)) / 2
    print(f"f‴(1) = {third(1.0):.12f}, by differences {differences / step**3:.5f}")
    draw(options.output, t, curves)
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
