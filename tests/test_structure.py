"""The shape of the code: what would otherwise grow a little with every change."""

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from commands import ROOT

SOURCES = sorted((ROOT / "src" / "retrain").rglob("*.py"))
MOST_POSITIONAL, MOST_LINES, MEDIAN_LINES = 7, 350, 12

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, Function):
            yield node


def code_lines(function: Function) -> int:
    """Return the lines of a function without its docstring."""
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def is_command(function: Function) -> bool:
    """Tell whether click calls it, by keywords, with an argument for each option."""
    return any("command" in ast.unparse(decorator) for decorator in function.decorator_list)


def test_no_function_takes_more_positional_parameters_than_a_reader_can_hold() -> None:
    found = {
        f"{path.name}:{function.name}": count
        for path in SOURCES
        for function in functions(path)
        if not is_command(function)
        for count in [
            sum(
                argument.arg not in ("self", "cls")
                for argument in (*function.args.posonlyargs, *function.args.args)
            )
        ]
        if count > MOST_POSITIONAL
    }
    assert not found


def test_no_file_is_longer_than_a_noun_needs() -> None:
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert not {name: lines for name, lines in lengths.items() if lines > MOST_LINES}


def test_most_functions_are_short() -> None:
    lengths = [code_lines(function) for path in SOURCES for function in functions(path)]
    assert median(lengths) < MEDIAN_LINES
