"""Calls: of words, of other kernels, and of formulas, which are pasted in."""

from __future__ import annotations

import ast
from typing import Any

from allbps.machine.language import words
from allbps.machine.language.frontend.statements import Statements
from allbps.machine.language.frontend.values import EXACT, REORDERED, Expansion, Expr, Value
from allbps.machine.language.syntax import assigned_names, kinds, parameters, result_kind


class Calls(Statements):
    """What a call becomes."""

    def _expr_Call(self, node: ast.Call) -> Expr:
        what = self.expr(node.func)
        arguments = [self.expr(a) for a in node.args]
        if isinstance(what, words.Kernel):
            named = {k.arg: self.expr(k.value) for k in node.keywords}
            arguments += [named[name] for name in parameters(what)[len(arguments) :]]
            return self._call_kernel(what, arguments)
        if node.keywords:
            raise self.refuse(node, "passes arguments by name to something other than a kernel")
        if isinstance(what, words.Word):
            return what.emit(self, *arguments)
        if what in (min, max) and len(arguments) == 2:
            x, y = arguments
            if not isinstance(x, Value) and not isinstance(y, Value):
                return what(x, y)
            op: ast.cmpop = ast.Lt() if what is min else ast.Gt()
            return self.select(self.compare(node, op, y, x), y, x)
        if not any(isinstance(a, Value) for a in arguments):
            return what(*arguments)
        raise self.refuse(node, f"calls {what!r}, which is not in the language of kernels")

    def _call_kernel(self, kernel: words.Kernel[Any, Any], arguments: list[Expr]) -> Expr:
        if kernel.expand:
            return self._expand(kernel, arguments)
        fn = self.program.function(kernel)
        wanted = kinds(kernel).values()
        values = [self.as_kind(a, k) for a, k in zip(arguments, wanted, strict=True)]
        result = self.b.call(fn, values)
        return Value(result, result_kind(kernel))

    def _expand(self, kernel: words.Kernel[Any, Any], arguments: list[Expr]) -> Expr:
        """Paste a formula: its own names and flags, the values of its arguments."""
        tree = kernel.tree
        saved = self.kernel, self.names, self.flags, self.expansion
        expansion = Expansion(self.depth)
        self.kernel, self.names, self.expansion = kernel, {}, expansion
        self.flags = REORDERED if kernel.reorder else EXACT
        for parameter, value in zip(tree.args.args, arguments, strict=True):
            if not isinstance(value, tuple) and parameter.arg in assigned_names(kernel):
                self.bind(parameter.arg, value)
            else:
                self.names[parameter.arg] = value
        self.body(tree.body)
        self.kernel, self.names, self.flags, self.expansion = saved
        return expansion.result
