"""``%load_ext allbps`` and ``%%explain``: a cell as a function of the arrays that it reads."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

from allbps.errors import ArgumentError, UserFileError
from allbps.trace import is_array_like
from allbps.tree import leaves
from allbps.worked import Worked, explain


def load(shell: Any) -> None:
    """Give a notebook the magic; called by ``%load_ext allbps``."""

    def magic(line: str, cell: str) -> Worked:
        return explained(shell, line, cell)

    magic.__doc__ = explained.__doc__
    shell.register_magic_function(magic, magic_kind="cell", magic_name="explain")


def explained(shell: Any, line: str, cell: str) -> Worked:
    """Work out the backward pass of a cell.

    The arrays and numbers with a decimal point that the cell reads are its arguments; its last
    line is its result. ``%%explain W b`` asks for the δ of these alone.

    Raises:
        UserFileError: the cell is not valid Python, or does not end in a value.
        ArgumentError: it reads no array, or has not got one that the first line names.
    """
    raw = f"%%explain {line}\n{cell}"  # so that lines are counted as the reader sees them
    tree = _parsed(cell)
    names = [name for name in _read(tree) if _is_argument(shell.user_ns.get(name))]
    wanted = line.replace(",", " ").split()
    strangers = [name for name in wanted if name not in names]
    if strangers or not names:
        raise ArgumentError(
            f"the cell reads no array called {strangers[0]}" if strangers
            else "the cell reads no array, so nothing has a δ",
            expected=", ".join(names) or "x = np.array(…) in a cell before this one",
        )  # fmt: skip
    file = shell.compile.cache(raw, shell.execution_count, raw_code=raw)
    function = _function(tree, names, file, shell.user_ns)
    return explain(function, wrt=wanted or None, **{name: shell.user_ns[name] for name in names})


def _parsed(cell: str) -> ast.Module:
    try:
        tree = ast.parse(cell)
    except SyntaxError as error:
        where = f"line {(error.lineno or 0) + 1}: {(error.text or '').strip()}"
        raise UserFileError(f"the cell is not valid Python: {error.msg}", where=where) from None
    ast.increment_lineno(tree)
    last = tree.body[-1] if tree.body else None
    if isinstance(last, ast.Expr):
        value = last.value
    elif isinstance(last, ast.Assign) and isinstance(last.targets[0], ast.Name):
        value = ast.copy_location(ast.Name(last.targets[0].id, ast.Load()), last)
    else:
        raise UserFileError(
            "the last line of the cell is not a value", expected="L = …, or an expression"
        )
    if isinstance(last, ast.Expr):
        tree.body.pop()
    tree.body.append(ast.copy_location(ast.Return(value), last))
    return tree


def _read(tree: ast.Module) -> Iterator[str]:
    """The names that a cell reads, in the order of its lines; also those it then binds anew."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    found.sort(key=lambda node: (node.lineno, node.col_offset))
    read = (node.id for node in found if isinstance(node.ctx, ast.Load))
    return iter(dict.fromkeys(read))


def _is_argument(value: Any) -> bool:
    """An array or a float, or a container of them."""
    try:
        found = leaves(value)
    except ArgumentError:
        return False
    return bool(found) and all(is_array_like(x) and not isinstance(x, int) for x in found)


def _function(
    tree: ast.Module, names: list[str], file: str, scope: dict[str, Any]
) -> Callable[..., Any]:
    """The statements as the body of a function of these names."""
    module = ast.parse(f"def cell({', '.join(names)}): pass")
    definition = module.body[0]
    assert isinstance(definition, ast.FunctionDef)
    definition.body = tree.body
    own: dict[str, Any] = {}
    exec(compile(ast.fix_missing_locations(module), file, "exec"), scope, own)
    made: Callable[..., Any] = own["cell"]
    return made
