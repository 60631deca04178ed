"""Kernels that are written for one program: a text of their own, and the words it uses."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from allbps.machine.language.words import Routine


class Written(Routine):
    """A kernel that was written as text.

    Args:
        name: what it is called.
        text: its definition.
        vocabulary: name -> module, relative to the machine, of everything that the text may use.

    """

    def __init__(self, name: str, text: str, vocabulary: Mapping[str, str]) -> None:
        self.name, self.text = name, text
        (definition,) = ast.parse(text).body
        assert isinstance(definition, ast.FunctionDef)
        self._tree = definition
        used = {node.id for node in ast.walk(definition) if isinstance(node, ast.Name)}
        self.words = {word: vocabulary[word] for word in sorted(used & vocabulary.keys())}

    @property
    def tree(self) -> ast.FunctionDef:
        """Its syntax tree."""
        return self._tree

    def lookup(self, name: str) -> Any:
        """What a name in its text stands for.

        Raises:
            NameError: nothing.

        """
        if name not in self.words:
            raise NameError(name)
        return getattr(import_module(f"allbps.machine.{self.words[name]}"), name)
