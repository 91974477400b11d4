"""A few functions in a small subset of Python, compiled to LLVM IR.

The call path between Python and kernels is C in all but name. It is written in Python's syntax so
that it reads, lints and tests like the rest, and is compiled on the user's machine, where there
may be no C compiler. Every value is a 64-bit word (an integer or an address); comparisons are
signed. There are local variables, ``if``, ``while``, ``for i in range(...)``, ``break``,
``continue``, ``return``; calls of each other, of the functions declared below, and of external
ones: ``api.Py_IncRef(x)`` calls one, ``api.list_type`` is the address of an external object,
``at.NAME`` a constant.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

_TYPES = {"w": "i64", "i": "i32", "d": "double", "v": "void"}
_BINARY: dict[type[Any], str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.BitAnd: "and", ast.BitOr: "or",
    ast.LShift: "shl", ast.RShift: "ashr",
}  # fmt: skip
_COMPARE: dict[type[Any], str] = {
    ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "slt", ast.LtE: "sle", ast.Gt: "sgt", ast.GtE: "sge",
}  # fmt: skip


def word(address: int, index: int = 0) -> int:
    """The word at an address, or the index-th after it."""
    raise NotImplementedError


def int32(address: int) -> int:
    """The 32-bit integer at an address, sign-extended."""
    raise NotImplementedError


def byte(address: int) -> int:
    """The byte at an address."""
    raise NotImplementedError


def double(address: int) -> float:
    """The double at an address, to be given to an external function."""
    raise NotImplementedError


def store(address: int, index: int, value: int) -> None:
    """Write the index-th word after an address."""


def store8(address: int, value: int) -> None:
    """Write a byte."""


def store_double(address: int, value: float) -> None:
    """Write a double that an external function returned."""


def stack(count: int) -> int:
    """The address of so many words that live until the function returns."""
    raise NotImplementedError


def call(address: int, *arguments: int) -> int:
    """Call the function at an address, which returns an int32."""
    raise NotImplementedError


class Names(NamedTuple):
    """What a function may refer to besides its own variables."""

    constants: Mapping[str, Any]
    addresses: Iterable[str]  # external objects: the name is their address
    externals: Mapping[str, str]  # functions: "wwi" returns a word, takes a word and an int32
    functions: Mapping[str, int]  # compiled together with it: name -> number of parameters


def compile_functions(
    source: str,
    exported: Iterable[str],
    constants: Mapping[str, Any],
    addresses: Iterable[str],
    externals: Mapping[str, str],
) -> str:
    """The LLVM IR of all functions in a module's source; those in ``exported`` are visible."""
    bodies = {
        node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)
    }
    known = {name: len(body.args.args) for name, body in bodies.items()}
    names = Names(constants, tuple(addresses), externals, known)
    lines = [f"@{name} = external global i8" for name in names.addresses]
    for name, types in externals.items():
        parameters = ", ".join(_TYPES[letter] for letter in types[1:])
        lines.append(f"declare {_TYPES[types[0]]} @{name}({parameters})")
    for name, body in bodies.items():
        lines += _Compiler(names).function(body, "" if name in set(exported) else "internal ")
    return "\n".join(lines)


class _Compiler:
    """One function. Variables live in memory; LLVM's mem2reg makes them registers."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.lines: list[str] = []
        self.variables: list[str] = []
        self.numbers = itertools.count()
        self.loops: list[tuple[str, str]] = []  # where continue and break go

    def function(self, body: ast.FunctionDef, linkage: str) -> list[str]:
        parameters = [argument.arg for argument in body.args.args]
        for name in parameters:
            self.assign(name, f"%arg.{name}")
        self.block(body.body)
        self.lines.append("ret i64 0")  # a function that does not return a value returns 0
        typed = ", ".join(f"i64 %arg.{name}" for name in parameters)
        return [
            f"define {linkage}i64 @{body.name}({typed}) nounwind {{",
            *(f"%var.{name} = alloca i64" for name in self.variables),
            *self.lines,
            "}",
        ]

    # Text

    def new(self, text: str) -> str:
        name = f"%t{next(self.numbers)}"
        self.lines.append(f"{name} = {text}")
        return name

    def label(self) -> str:
        return f"L{next(self.numbers)}"

    def start(self, label: str) -> None:
        self.lines += [f"br label %{label}", f"{label}:"]

    def unreachable_rest(self) -> None:
        """After a jump LLVM wants a new block."""
        self.lines.append(f"{self.label()}:")

    def assign(self, name: str, value: str) -> None:
        if name not in self.variables:
            self.variables.append(name)
        self.lines.append(f"store i64 {value}, ptr %var.{name}")

    # Statements

    def block(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Expr(ast.Constant()):  # the docstring
                pass
            case ast.Expr(value):
                self.value(value)
            case ast.Assign([ast.Name(name)], value):
                self.assign(name, self.value(value))
            case ast.AugAssign(ast.Name(name), op, value) if type(op) in _BINARY:
                both = f"{self.load_variable(name)}, {self.value(value)}"
                self.assign(name, self.new(f"{_BINARY[type(op)]} i64 {both}"))
            case ast.Return(value):
                self.lines.append(f"ret i64 {self.value(value) if value else 0}")
                self.unreachable_rest()
            case ast.If(test, body, orelse):
                self.if_statement(test, body, orelse)
            case ast.While(test, body):
                self.loop(test, body, None)
            case ast.For(ast.Name(name), ast.Call(ast.Name("range"), limits), body):
                self.range_loop(name, limits, body)
            case ast.Break() | ast.Continue():
                target = self.loops[-1][isinstance(node, ast.Break)]
                self.lines.append(f"br label %{target}")
                self.unreachable_rest()
            case _:
                raise NotImplementedError(ast.unparse(node))

    def if_statement(self, test: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt]) -> None:
        yes, no, end = self.label(), self.label(), self.label()
        self.branch(test, yes, no)
        for label, statements in ((yes, body), (no, orelse)):
            self.lines.append(f"{label}:")
            self.block(statements)
            self.lines.append(f"br label %{end}")
        self.lines.append(f"{end}:")

    def loop(self, test: ast.expr, body: list[ast.stmt], step: ast.stmt | None) -> None:
        head, inside, more, end = self.label(), self.label(), self.label(), self.label()
        self.start(head)
        self.branch(test, inside, end)
        self.lines.append(f"{inside}:")
        self.loops.append((more, end))
        self.block(body)
        self.loops.pop()
        self.start(more)
        if step:
            self.statement(step)
        self.lines += [f"br label %{head}", f"{end}:"]

    def range_loop(self, name: str, limits: list[ast.expr], body: list[ast.stmt]) -> None:
        first = self.value(limits[0]) if len(limits) == 2 else "0"
        last = f"range.{next(self.numbers)}"
        self.assign(last, self.value(limits[-1]))
        self.assign(name, first)
        test = ast.Compare(_name(name), [ast.Lt()], [_name(last)])
        self.loop(test, body, ast.AugAssign(_name(name), ast.Add(), ast.Constant(1)))

    def branch(self, test: ast.expr, yes: str, no: str) -> None:
        """Jump by a condition; ``and``, ``or`` stop at what decides them."""
        match test:
            case ast.BoolOp(op, values):
                for value in values[:-1]:
                    further = self.label()
                    if isinstance(op, ast.And):
                        self.branch(value, further, no)
                    else:
                        self.branch(value, yes, further)
                    self.lines.append(f"{further}:")
                self.branch(values[-1], yes, no)
            case ast.UnaryOp(ast.Not(), value):
                self.branch(value, no, yes)
            case ast.Compare(left, [op], [right]) if type(op) in _COMPARE:
                both = f"{self.value(left)}, {self.value(right)}"
                bit = self.new(f"icmp {_COMPARE[type(op)]} i64 {both}")
                self.lines.append(f"br i1 {bit}, label %{yes}, label %{no}")
            case _:
                bit = self.new(f"icmp ne i64 {self.value(test)}, 0")
                self.lines.append(f"br i1 {bit}, label %{yes}, label %{no}")

    # Expressions

    def truth(self, test: ast.expr) -> str:
        """A condition as 1 or 0."""
        result = f"truth.{next(self.numbers)}"
        yes, end = self.label(), self.label()
        self.assign(result, "0")
        self.branch(test, yes, end)
        self.lines.append(f"{yes}:")
        self.assign(result, "1")
        self.start(end)
        return self.load_variable(result)

    def load_variable(self, name: str) -> str:
        return self.new(f"load i64, ptr %var.{name}")

    def value(self, node: ast.expr) -> str:
        match node:
            case ast.Constant(int() as number):
                return str(int(number))
            case ast.Name(name) if name in self.variables:
                return self.load_variable(name)
            case ast.Name(name) if isinstance(self.names.constants.get(name), int):
                return str(int(self.names.constants[name]))
            case ast.Attribute(ast.Name("at"), name):
                return str(int(getattr(self.names.constants["at"], name)))
            case ast.Attribute(ast.Name("api"), name) if name in self.names.addresses:
                return f"ptrtoint (ptr @{name} to i64)"
            case ast.UnaryOp(ast.USub(), ast.Constant(int() as number)):
                return str(-number)
            case ast.BinOp(left, op, right) if type(op) in _BINARY:
                both = f"{self.value(left)}, {self.value(right)}"
                return self.new(f"{_BINARY[type(op)]} i64 {both}")
            case ast.Compare(_, [op], _) if type(op) in _COMPARE:
                return self.truth(node)
            case ast.BoolOp() | ast.UnaryOp(ast.Not()):
                return self.truth(node)
            case ast.Call(ast.Name(name), arguments):
                return self.call(name, arguments)
            case ast.Call(ast.Attribute(ast.Name("api"), name), arguments):
                values = [self.value(argument) for argument in arguments]
                return self.external(name, self.names.externals[name], values)
            case _:
                raise NotImplementedError(ast.unparse(node))

    def call(self, name: str, arguments: list[ast.expr]) -> str:
        values = [self.value(argument) for argument in arguments]
        if name in self.names.functions:
            assert len(values) == self.names.functions[name], name
            return self.new(f"call i64 @{name}({', '.join(f'i64 {value}' for value in values)})")
        return getattr(self, f"do_{name}")(*values)

    def external(self, name: str, types: str, values: list[str]) -> str:
        assert len(values) == len(types) - 1, name
        typed = []
        for letter, value in zip(types[1:], values, strict=True):
            if letter == "i":
                value = self.new(f"trunc i64 {value} to i32")
            typed.append(f"{_TYPES[letter]} {value}")
        text = f"call {_TYPES[types[0]]} @{name}({', '.join(typed)})"
        if types[0] == "v":
            self.lines.append(text)
            return "0"
        result = self.new(text)
        return self.new(f"sext i32 {result} to i64") if types[0] == "i" else result

    def pointer(self, address: str, index: str = "0") -> str:
        base = self.new(f"inttoptr i64 {address} to ptr")
        return base if index == "0" else self.new(f"getelementptr i64, ptr {base}, i64 {index}")

    def do_word(self, address: str, index: str = "0") -> str:
        return self.new(f"load i64, ptr {self.pointer(address, index)}")

    def do_int32(self, address: str) -> str:
        narrow = self.new(f"load i32, ptr {self.pointer(address)}")
        return self.new(f"sext i32 {narrow} to i64")

    def do_byte(self, address: str) -> str:
        narrow = self.new(f"load i8, ptr {self.pointer(address)}")
        return self.new(f"zext i8 {narrow} to i64")

    def do_double(self, address: str) -> str:
        return self.new(f"load double, ptr {self.pointer(address)}")

    def do_store(self, address: str, index: str, value: str) -> str:
        self.lines.append(f"store i64 {value}, ptr {self.pointer(address, index)}")
        return "0"

    def do_store8(self, address: str, value: str) -> str:
        narrow = self.new(f"trunc i64 {value} to i8")
        self.lines.append(f"store i8 {narrow}, ptr {self.pointer(address)}")
        return "0"

    def do_store_double(self, address: str, value: str) -> str:
        self.lines.append(f"store double {value}, ptr {self.pointer(address)}")
        return "0"

    def do_stack(self, count: str) -> str:
        block = self.new(f"alloca i64, i64 {count}, align 16")
        return self.new(f"ptrtoint ptr {block} to i64")

    def do_call(self, function: str, *arguments: str) -> str:
        typed = ", ".join(f"i64 {argument}" for argument in arguments)
        result = self.new(f"call i32 {self.pointer(function)}({typed})")
        return self.new(f"sext i32 {result} to i64")


def _name(name: str) -> Any:
    return ast.Name(name)
