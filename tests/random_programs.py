"""Random NumPy programs: straight lines, loops and branches over a pool of named arrays.

A program is text. It grows by one statement at a time and runs with plain NumPy after each: what
raises, warns, or leaves the range in which derivatives can be checked, is not kept. So statements
are drawn from templates with little care whether they fit.
"""

import dataclasses
import random
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy

LARGEST_SIZE = 60
LARGEST_NUMBER = 1e3

PRELUDE = """
def total(a):
    return np.sum(a * a)

def swapped(a):
    a[...] = a[::-1]
    return a[:1]

def scaled(a, by=0.5):
    a *= by
    return a

def accumulated(a):
    return np.cumsum(a, axis=0, out=a)

def repeated(a, n):
    return a if n == 0 else repeated(np.tanh(a) * 1.5, n - 1)

def running(a):
    out = np.zeros(len(a) + 1, dtype=a.dtype)
    for j in range(len(a)):
        out[j + 1] = out[j] * 0.5 + np.sum(a[j])
    return out

def adder(a):
    def add(b):
        return a + b
    return add
"""

# In the templates {a}, {b} are any arrays, {o} one of the shape of {a} (or a number), {f} a real or
# complex one, {v} one with one axis, {m} with two, {q} a square one, {s} a number, {t} an array
# that may be written to, {g} such a real or complex one, {c} a literal, {i} an index of {a} or {t},
# {x} an axis of the array named first or None, {n} a small int, {e} an expression, {d} a dtype, {w}
# the scratch ndarray.
EXPRESSIONS = """
{a} + {o}|{a} - {o}|{a} * {o}|{a} * {b}|{a} + {b}|{a} / (1.5 + np.abs({o}))|{c} - {a}|{c} * {a}
{c} / (1.5 + {a} ** 2)|{a} ** 2|{a} ** 3|-{a}|+{a}|abs({f})|{a} @ {b}|{a} * {s}|{s} * {s}|{s} / 3
{a} // 0.7|{f} % 0.7|divmod({f}, 0.7)[1]|(1.0 + {f} ** 2) ** {c}|{c} ** np.tanh({f})|{a} - {w}[0]
np.sin({f})|np.cos({f})|np.tanh({f})|np.exp(-({f} ** 2))|np.sqrt({f} ** 2 + 0.5)|np.arctan({f})
np.log1p({f} ** 2)|np.square({a})|np.negative({a})|np.abs({a})|np.sign({a})|np.floor({f})
np.hypot({f}, 1.0 + {o} ** 2)|np.arctan2({f}, 2.0 + {o} ** 2)|np.logaddexp({f}, {o})
np.cbrt(0.5 + {f} ** 2)
np.maximum({a}, {o})|np.minimum({a}, {c})|np.clip({a}, -0.5, 0.75)|np.where({a} > {c}, {a}, {o})
np.where({a} < {o}, {a} * 2, {c})|np.heaviside({f}, 0.5)|np.fmax({f}, {o})|np.float_power({f}, 2)
{a}.real|{a}.imag|{a}.conj()|np.real({a})|{a} * 1j|np.angle({f} + 2j)|np.abs({a} * (1 + 2j))
np.sum({a}, axis={x})|{a}.sum()|np.mean({a}, axis={x})|{a}.mean({x})|np.max({a}, axis={x})
{a}.min(axis={x})|np.prod({a}, axis={x})|np.var({f}, axis={x})|np.std({f})|np.ptp({a}, axis={x})
np.sum({a}, axis={x}, keepdims=True)|np.cumsum({a}, axis={x})|np.cumprod({a})|np.median({f})
np.any({a} > {c})|np.all({a} > {c}, axis={x})|np.argmax({a})|np.argmin({a}, axis={x})
{a} > {c}|np.count_nonzero({a} > {c}) * {s}|np.average({f}, axis={x})|np.linalg.norm({f})
np.quantile({f}, 0.3)
np.nansum({f}, axis={x})|np.nanmax({f})|np.max({a}, axis={x}, keepdims=True)|{a}.cumsum({x})
{a}[{i}]|{a}[{i}]|{a}[{i}]|{a}[{i}]|{a}[{i}].copy()|{a}[note({a} > {c})]|{a}[np.argsort({v})]
{a}[[{n}, 0]]|{a}[[0, {n}], ::-1]|{a}[..., [0, 0, {n}]]|{a}[:, [{n}]]|{a}[np.arange({n}) * 0]
{a}[k]|{a}[k[:2]]|{a}[k[0]]|{a}[k[0] : k[1]]|{a}[:, k[:2]]|{a}[b]|{a}[b, 0]|{a}[np.argmax({v})]
np.take({a}, [{n}, 0], axis={x})|np.take({a}, k)|np.compress([True, False, True], {a}, axis=0)
np.take_along_axis({v}, np.argsort({v}), 0)|np.choose(k, [{s}, {v}])|np.delete({a}, {n}, 0)
np.insert({v}, {n}, {s})|np.searchsorted(np.sort({v}), {s})|np.extract({v} > {c}, {v})
{a}.T|{a}.reshape(-1)|{a}.ravel()|{a}.ravel(order="F")|{a}.swapaxes(0, -1)|{m}.diagonal()
np.diagonal({m}, 1)|np.diag({v})|np.diag({m})|{a}[..., None]|{a}[None]|np.squeeze({a})|{a}.view()
np.expand_dims({a}, 0)|np.flip({a})|np.flip({a}, 0)|np.broadcast_to({s}, (2, 3))|np.rot90({m})
np.broadcast_to({v}, (2, len({v})))|np.moveaxis({a}, 0, -1)|np.split({a}, [1])[1]|{a}.flatten()
np.array_split({a}, 2)[0]|{a}.reshape({n}, -1)|{a}.reshape(-1, {n}, order="F")|np.atleast_2d({a})
np.transpose({a})|{a}.real.T|{a}.imag[..., 0]|{a}.mT|{a}.copy(order="F")|np.atleast_1d({a})
np.lib.stride_tricks.sliding_window_view({v}, 2)|np.ascontiguousarray({a})|np.asfortranarray({a})
np.concatenate([{a}, {a}])|np.concatenate([{v}, {v}])|np.stack([{a}, {o}])|np.stack([{a}, {o}], -1)
np.concatenate(({m}, {m}.copy()), axis=1)|np.hstack([{v}, {s}])|np.vstack([{v}, {v}])
np.append({a}, {c})|np.tile({a}, 2)|np.repeat({a}, 2, axis={x})|np.roll({a}, {n}, axis={x})
np.pad({a}, 1)|np.pad({v}, {n}, mode="edge")|np.diff({a})|np.gradient({v})|np.ediff1d({v})
np.sort({a})|np.sort({a}, axis={x})|np.argsort({a})|np.partition({v}, 1)|np.sort({a})[::-1]
np.dot({a}, {b})|np.matmul({m}, {m}.T)|np.outer({a}, {b})|np.inner({v}, {v})|np.kron({v}, {v})
np.einsum("ij,j->i", {m}, {v})|np.einsum("ij->ji", {m})|np.tensordot({a}, {b}, axes=1)
np.vdot({v}, {v})|np.trace({m})|np.cross({v}[:3], {v}[:3])|np.convolve({v}, {v})
np.einsum("...i,...i", {a}, {o})|np.linalg.multi_dot([{m}, {m}.T, {m}])|np.correlate({v}, {v})
np.linalg.inv({q} + 4.0 * np.eye(len({q})))|np.linalg.det({q})|np.linalg.matrix_power({q}, 2)
np.linalg.solve({q} + 5.0 * np.eye(len({q})), {o})|np.linalg.norm({m}, axis=0)
np.linalg.slogdet({q} @ {q}.T + np.eye(len({q})))[1]
np.linalg.cholesky({m} @ {m}.T + np.eye(len({m})))|np.fft.fft({v})|np.fft.rfft({v}).real
np.fft.ifft({v}).imag|np.linalg.eigvalsh({q} @ {q}.T + np.diag(np.arange(len({q})) * 3.0))
np.interp(0.3, [0.0, 1.0], {v}[:2])|np.trapezoid({v})|np.polyval({v}, 0.5)|np.vander({v}, 3)
np.zeros_like({a})|np.ones({n}) * {s}|np.zeros(({n}, 3))|np.full(3, {s})|np.eye(3) * {s}
np.full_like({a}, {s})|np.arange({n}) * {a}|np.array([{s}, 1.0, {s}])|np.array({a})|{a}.copy()
np.asarray({a})|np.array([{v}, {v}])|np.arange(3.0) + {s}|np.linspace(0.0, 1.0, {n} + 1) * {s}
np.array([[{s}, 0], [1, {s}]])|{a}.astype(float)|{a}.astype({d})|np.array({a}, dtype={d})
np.ones_like({a})|np.zeros(3, dtype=int)|np.arange({n})|np.tri(3)|np.meshgrid({v}, {v})[0]
np.triu({m})|np.tril({m}, -1)|np.cov({m})|np.nan_to_num({a})|np.unwrap({v})|np.copy({a})
np.linspace({s}, 1.0, 3)|np.zeros((2, 2), dtype={d})|np.full((2, 3), {c}, dtype={d})
total({a})|swapped({t})|scaled({t})|scaled({t}, {c})|repeated({f}, {n})|running({a})|adder({a})({o})
(lambda z: z * z + {c})({a})|[z * 2 for z in {a}][0]|sum({v})|max({v})|x.item({n})|x.tolist()[0]
sum(z for z in {v})|min({v}, key=abs)|sorted({v})[0]|float(1) * {s}|[*{v}][-1]
np.apply_along_axis(lambda z: z * z[0], 0, {a})|np.select([{a} > 0], [{a} * 2], {c})
np.piecewise({f}, [{f} > 0], [lambda z: z * z, 0.5])|np.vectorize(lambda z: z * z + 1)({a})
np.add.reduce({a})|np.multiply.accumulate({v})|np.maximum.accumulate({a})|np.add.outer({v}, {v})
np.subtract.outer({v}, {s})|np.maximum.reduce({a}, axis={x})|{a} * {w}[:1]|{w} * {s}|{s} + {w}[1]
np.add.reduceat({v}, [0, 1])|np.minimum.reduce({a})|np.logaddexp.reduce({f})|{v}.dot({v})
np.sum({f} * {w}[: len({f})])|np.logical_not({a} > {c})|({a} > {c}) * {a}|({a} > {c}) & ({a} < 2)
np.sum({a}, where={a} > {c})|np.mean({a}, axis={x}, dtype={d})
np.sin({f}, where={f} > {c}, out=np.zeros_like({f}))
np.add({a}, {o}, dtype={d})|{a}.round(1)|np.isfinite({a})|np.iscomplexobj({a})|{a}.size * {s}
"""

STATEMENTS = """
{t}[{i}] = {e}|{t}[{i}] = {e}|{t}[{i}] += {e}|{t}[{i}] *= {e}|{t}[{i}] -= {c}|{t}[{i}] /= 2.0
{t}[...] = {e}|{t} += {e}|{t} *= {c}|{t} -= {o}|{t} /= 1.5|{t} **= 2|{t} *= {o}|{t}.T[{n}] = {e}
{t}[1:] = {t}[:-1]|{t}[:-1] += {t}[1:]|{t}[::-1] = {t}|{t}[...] = {t}[::-1]|{t}[0] = {t}[-1]
{t}[0], {t}[-1] = {t}[-1], {t}[0]|{t}[[0, -1]] = {t}[[-1, 0]]|{t}[[0, 0]] += 1.0|{t}[k] *= {c}
{t}[note({t} > {c})] = {c}|{t}[note({t} > {c})] *= 0.5|{t}[{t} > {c}] = {s}|{t}[b] = {e}
{t}[k] = {e}|{t}[k[:1]] += {e}|{t}[k[0]] = {e}|{t}[:, k[:2]] = {e}|{t}[..., -1] *= {s}
{t}.ravel()[{n}] = {s}|{t}.reshape(-1)[:2] *= {c}|{t}[...].flat[{n}] = {s}|{t}.flat = {a} * 1.0
{t}[...].fill({s})|{t}.sort()|{t}.real = {e}|{t}.imag = {e}|{t}.real *= 2.0|{t}.T[...] = {e}
{t}.swapaxes(0, -1)[0] = {e}|{t}.reshape(2, -1)[1] = {e}|{t}[None][0, 0] = {s}|{t}.shape = (-1, 1)
np.add({a}, {o}, out={t})|np.multiply({t}, {c}, out={t})|np.sin({t}, out={t})|np.copyto({t}, {e})
np.add.at({g}, [0, {n}, 0], {o})|np.subtract.at({g}, k, {o})|np.multiply.at({g}, [0, 0], {o})
np.put({t}[...], [0, {n}], {s})|np.fill_diagonal({t}, {s})|np.putmask({t}, {t} > {c}, {s})
accumulated({t})|np.sum({a}, axis=0, out={t})|np.maximum({t}, {o}, out={t})|{t}[...].put([{n}], {s})
np.add({t}, {c}, out={t}, where={t} > 0)|np.clip({t}, -1, 1, out={t})|{t}[{i}][...] = {c}
{w}[...] = {c}|{w}[1:] = {w}[:-1] + {c}|{w} *= 1.25|{w}[{n}] = {c}|swapped({t})|scaled({t}[{i}])
np.copyto({t}, {s}, where={t} < {c})|np.place({t}, {t} > {c}, [{c}])
np.einsum("ii->i", {q})[:] = {s}
np.put_along_axis({t}, np.argsort({t}, axis=0), {c}, 0)|np.diagonal({t}).copy()[:1] *= {c}
{t}[{i}], {t}[{i}] = {s}, {c}|{t} @= np.eye(3) * {c}|{t} //= 0.7|{t} %= 0.7
{t}[1:, ...] @= np.eye(3)
for row in {t}:\n    row *= {c}|for row in {t}:\n    row[...] = {s}
"""

# Each raises what NumPy raises; the program goes on.
MISTAKES = """
{t}[100] = 1.0|{a}[7:8][3]|{a}.reshape(7, 13)|{a} + np.ones(11)|{t}[:] = np.ones(11)
{t} += np.ones((11, 1, 1))|{a} @ np.ones(11)|np.concatenate([{a}, np.ones((1, 1, 1, 1))])|{a}[1.5]
np.sum({a}, axis=9)|{a}.T[99]|{t}[[0, 99]] = 1.0|np.stack([{a}, np.ones(11)])|len({s})
{a}.swapaxes(0, 9)|{a}[0, 0, 0, 0, 0]|np.broadcast_to({a}, 0)[0] = 1|{s}[0]|{t}[{c}] = 1
"""

INDICES = """
0|-1|1|:|::-1|1:|:-1|::2|:2|...|None|-2:|..., 0|..., -1|0, 0|1, 1|:, 0|:, 1|0, :|:, None|None, 0
1:, :2|::-1, 1|[0, 1]|[1, 0, 1]|[-1]|..., ::-1|:, ::-1|..., None|:, 1:|1:2|0:0|[[0], [1]]|-1, ...
[0, 1], 1|..., [0, 1]|[0, 1], [1, 0]|:, [1, 0]|[[1, 0]], :|1, [0, 1]|0, :, [1]|None, [1]|(), ...
"""


def _items(text: str) -> list[str]:
    return [item for line in text.strip().splitlines() for item in re.split(r"(?<! )\|(?! )", line)]


_EXPRESSIONS, _STATEMENTS = _items(EXPRESSIONS), _items(STATEMENTS.replace("\\n", "\n"))
_MISTAKES, _INDICES = _items(MISTAKES), _items(INDICES)
_LITERALS = ("0.5", "1.5", "-0.25", "2", "0.3", "-1.0", "3")


@dataclasses.dataclass(frozen=True)
class Program:
    """``arguments``: names and values of the inputs; ``statements``: blocks of source text."""

    arguments: Mapping[str, Any]
    statements: tuple[str, ...]

    @property
    def source(self) -> str:
        return "\n".join(self.statements)

    def without(self, k: int) -> "Program":
        return dataclasses.replace(self, statements=self.statements[:k] + self.statements[k + 1 :])

    def compiled(self) -> Callable[..., dict[str, Any]]:
        """``run(np, *arguments)`` gives all variables, in the order in which they were made."""
        code = compile(self.source, "program", "exec")

        def run(np: Any, *arguments: Any) -> dict[str, Any]:
            scope: dict[str, Any] = {"np": np, "note": note}
            exec(_PRELUDE_CODE, scope)
            names: dict[str, Any] = dict(zip(self.arguments, arguments, strict=True))
            names["k"] = np.array([1, 0, 1])
            names["b"] = np.array([True, False, True])
            names["w"] = numpy.array([0.75, 1.25, 0.5])
            scope.update(names)
            exec(code, scope)
            return {
                n: x for n, x in scope.items() if n in names or (n[0] == "u" and n[1:].isdigit())
            }

        return run

    def __str__(self) -> str:
        given = (f"{name} = {value!r}" for name, value in self.arguments.items())
        return "\n".join((*given, self.source))


_PRELUDE_CODE = compile(PRELUDE, "prelude", "exec")


def note(decision: Any) -> Any:
    """Marks a value that the program's course depends on; see `course_of`."""
    return decision


def run_plainly(program: Program, *arguments: Any) -> dict[str, Any] | None:
    """All variables after a run with NumPy, or None if it warns or raises."""
    copies = [numpy.array(a) if isinstance(a, numpy.ndarray) else a for a in arguments]
    with warnings.catch_warnings(), numpy.errstate(all="raise", under="ignore"):
        warnings.simplefilter("error")
        try:
            return program.compiled()(numpy, *copies)
        except Exception:  # noqa: BLE001 - whatever it is, the statement does not fit
            return None


def is_moderate(x: Any) -> bool:
    """Whether derivatives of x can be checked: of a small array of moderate numbers. Python's bool
    and int are nothing that is traced, and NumPy makes plain arrays of them.
    """
    if type(x) in (float, complex):
        return abs(x) < LARGEST_NUMBER
    if not isinstance(x, (numpy.ndarray, numpy.generic)) or x.dtype.kind not in "fciub":
        return False
    small = x.size <= LARGEST_SIZE and x.ndim <= 4
    return small and bool((numpy.abs(x) < LARGEST_NUMBER).all())


class Grower:
    """Makes one program from one seed."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        numbers = numpy.random.default_rng(seed)
        self.program = Program(self._arguments(numbers), ())
        self.variables = run_plainly(self.program, *self.program.arguments.values()) or {}
        self.made = 0

    def _arguments(self, numbers: numpy.random.Generator) -> dict[str, Any]:
        arguments: dict[str, Any] = {"x": numbers.uniform(-1.5, 1.5, 3)}
        optional = {
            "y": lambda: numbers.uniform(-1.5, 1.5, (2, 3)),
            "s": lambda: float(numbers.uniform(0.2, 1.5)),
            "z": lambda: numbers.uniform(-1, 1, 3) + 1j * numbers.uniform(-1, 1, 3),
            "h": lambda: numbers.uniform(-1.5, 1.5, (3, 3)).astype(numpy.float32),
            "r": lambda: numbers.uniform(-1.5, 1.5, (2, 2, 2)),
            "p": lambda: numpy.array(numbers.uniform(0.2, 1.5)),
        }
        chances = {"y": 0.7, "s": 0.4, "z": 0.25, "h": 0.15, "r": 0.2, "p": 0.3}
        for name, make in optional.items():
            if self.rng.random() < chances[name]:
                arguments[name] = make()
        return arguments

    def grown(self, length: int) -> Program:
        for _ in range(6 * length):
            if len(self.program.statements) >= length:
                break
            self._try(self._block())
        return self.program

    def _try(self, block: str | None) -> None:
        if block is None:
            return
        longer = dataclasses.replace(self.program, statements=(*self.program.statements, block))
        found = run_plainly(longer, *longer.arguments.values())
        if found is not None and all(map(is_moderate, found.values())):
            self.program, self.variables = longer, found
            self.made += 1

    # Choices

    def _block(self) -> str | None:
        kind = self.rng.random()
        try:
            if kind < 0.06:
                body = "\n".join("    " + self._statement() for _ in range(self.rng.choice((1, 2))))
                return f"for i in range({self.rng.choice((1, 2, 3))}):\n{body}"
            if kind < 0.11:
                condition = f"note({self._filled('{s}')} > {self.rng.choice(_LITERALS)})"
                return (
                    f"if {condition}:\n    {self._statement(old=True)}\n"
                    f"else:\n    {self._statement(old=True)}"
                )
            if kind < 0.14:
                mistake = self._filled(self.rng.choice(_MISTAKES))
                after = self._statement(old=True)
                return (
                    f"try:\n    {mistake}\nexcept (IndexError, ValueError, TypeError):\n    {after}"
                )
            return self._statement()
        except _NothingFits:
            return None

    def _statement(self, old: bool = False) -> str:
        if self.rng.random() < 0.45:
            return self._filled(self.rng.choice(_STATEMENTS))
        names = [n for n in self.variables if n[0] == "u"]
        rebind = old or (names and self.rng.random() < 0.12)
        if rebind and not names:
            raise _NothingFits
        target = self.rng.choice(names) if rebind else f"u{self.made}"
        alias = self.rng.random() < 0.05
        return f"{target} = {self._filled('{a}' if alias else self._expression())}"

    def _expression(self) -> str:
        return self.rng.choice(_EXPRESSIONS)

    def _filled(self, template: str, depth: int = 0) -> str:
        parts, first = [], None
        for text, hole in _holes(template):
            parts.append(text)
            if hole:
                filled = self._fill(hole, first, depth)
                if first is None and hole in "abfvmqtg":
                    first = filled
                parts.append(filled)
        return "".join(parts)

    def _fill(self, hole: str, first: str | None, depth: int) -> str:
        rng = self.rng
        if hole == "e":
            shallow = depth > 0 or rng.random() < 0.4
            return self._filled("{s}" if shallow else self._expression(), depth + 1)
        if hole == "i":
            return rng.choice(("i", *_INDICES)) if rng.random() < 0.3 else rng.choice(_INDICES)
        if hole == "x":
            ndim = numpy.ndim(self.variables[first]) if first else 1
            return rng.choice(("None", "0", "-1", *map(str, range(ndim))))
        fixed = {
            "c": _LITERALS,
            "n": ("0", "1", "2", "3"),
            "w": ("w",),
            "d": ("np.float32", "float", "complex", "int", "np.complex64", "bool"),
        }
        return rng.choice(fixed[hole]) if hole in fixed else self._variable(hole, first)

    def _variable(self, hole: str, first: str | None) -> str:
        shape = numpy.shape(self.variables[first]) if first else ()

        def fits(x: Any) -> bool:
            ndim = numpy.ndim(x)
            if hole == "o":
                return numpy.shape(x) in (shape, shape[-1:], ())
            if hole == "f":
                return numpy.asarray(x).dtype.kind in "fc"
            if hole in "tg":
                floating = hole == "t" or numpy.asarray(x).dtype.kind in "fc"
                return isinstance(x, numpy.ndarray) and x.flags.writeable and floating
            if hole == "q":
                return ndim == 2 and len(x) == x.shape[1]
            return ndim == {"v": 1, "m": 2, "s": 0}.get(hole, ndim)

        names = [n for n, x in self.variables.items() if n not in "wkb" and fits(x)]
        if hole == "s" and (not names or self.rng.random() < 0.5):
            return self.rng.choice(("x[0]", "x[1]", "np.sum(x)", "np.max(x)", "x[-1] * 0.5"))
        if not names:
            raise _NothingFits
        recent = names[-4:] if self.rng.random() < 0.5 else names
        return self.rng.choice(recent)


class _NothingFits(Exception):
    """No variable of the wanted kind yet."""


def _holes(template: str) -> Iterator[tuple[str, str]]:
    """The text before each hole, and the hole."""
    start = 0
    while (at := template.find("{", start)) >= 0:
        yield template[start:at], template[at + 1]
        start = at + 3
    yield template[start:], ""


def program_of(seed: int) -> Program:
    rng = random.Random(~seed)
    return Grower(seed).grown(rng.choice((4, 8, 12, 20, 30)))


def shrunk(program: Program, fails: Callable[[Program], bool]) -> Program:
    """The program without every statement that the failure does not need."""
    k = len(program.statements) - 1
    while k >= 0:
        shorter = program.without(k)
        if run_plainly(shorter, *shorter.arguments.values()) is not None and fails(shorter):
            program = shorter
        k -= 1
    return program
