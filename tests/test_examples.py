"""The example programs run as a user would run them, and reach what they promise."""

import pathlib
import re
import subprocess
import sys

import pytest

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"


def run(name, folder, *options):
    """What the program prints, run in an empty folder."""
    command = [sys.executable, str(EXAMPLES / name), *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_digits(tmp_path):
    text = run("digits.py", tmp_path, "--seed", "7")
    found = re.search(r"test accuracy +([\d.]+)", text)
    assert found
    assert float(found[1]) >= 0.96
    assert (tmp_path / "digits.png").stat().st_size > 10_000


@pytest.mark.slow
def test_digits_are_the_same_every_time(tmp_path):
    first, second = (run("digits.py", tmp_path, "--iterations", "5") for _ in range(2))
    assert first.splitlines()[:-1] == second.splitlines()[:-1]  # the last line tells the time


def test_third_derivative(tmp_path):
    assert "f‴(1) = 0.266469998256" in run("third_derivative.py", tmp_path)
    assert (tmp_path / "third_derivative.png").exists()


def test_rosenbrock_newton(tmp_path):
    last = run("rosenbrock_newton.py", tmp_path).splitlines()[-1].split()
    assert last[1:3] == ["1.000000", "1.000000"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [path.name for path in sorted(EXAMPLES.glob("*.py"))])
def test_every_example_has_help(name, tmp_path):
    assert "usage:" in run(name, tmp_path, "--help")
