"""Constants in emitted source: a number, the expression they are, a literal, or a module's array.

Their dtype and device are those of an argument, so that the emitted function computes in whatever
precision, and wherever, it is given its arguments.
"""

from __future__ import annotations

import base64
import re
import textwrap
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from allbps.ir import CONST, Node
from allbps.readings.dialect import Dialect

LITERAL_SIZE = 64
"""Constant arrays up to this many numbers are written out; larger ones stand above the function."""
KNOWN_SIZE = 5
"""From this many numbers on an array is written as the expression that it is, if it is one."""


@dataclass(frozen=True)
class Likes:
    """The arguments that constants take their dtype and device from.

    Attributes:
        dialect: the language.
        names: floating dtype of the arguments -> the first one that has it.
        anything: an argument that says where the function computes; empty where none can.

    """

    dialect: Dialect
    names: Mapping[np.dtype[Any], str]
    anything: str

    @classmethod
    def among(cls, inputs: Iterable[Node], dialect: Dialect) -> Likes:
        """Choose among arguments: arrays first, since a number may be passed as a Python one."""
        floats = sorted((x for x in inputs if x.is_float), key=lambda x: not x.shape)
        names: dict[np.dtype[Any], str] = {}
        for x in floats:
            name = x.name if x.shape else dialect.scalar.format(x=x.name)
            if name:
                names.setdefault(x.dtype, name)
        return cls(dialect, names, next(iter(names.values()), ""))

    def dtype(self, dtype: np.dtype[Any]) -> str:
        """The text of a dtype: ``x.dtype`` where an argument has it."""
        like = self.names.get(dtype)
        if like:
            return f"{like}.dtype"
        if self.dialect.module == "jnp" and dtype in USUAL:  # as many bits as JAX is set to
            return "int" if dtype.kind == "i" else "float"
        return f"{self.dialect.module}.{dtype.name}"

    def follow(self, code: str) -> str:
        """``code`` in which the arguments' dtypes are not named but taken from them."""
        for dtype, like in self.names.items():
            named = rf"(?<![\w.]){self.dialect.module}\.{dtype.name}(?![\w(])"
            code = re.sub(named, f"{like}.dtype", code)
        return code

    @property
    def device(self) -> str:
        """``, device=x.device`` in a dialect that has devices."""
        return self.dialect.device.format(like=self.anything) if self.anything else ""

    # -- constants ---------------------------------------------------------------------------------
    def literal(self, node: Node) -> str:
        """A constant written out."""
        value = node.value
        if type(value) in (bool, int, float):
            return self.number(value)
        usual = node.dtype in self.names or node.dtype in USUAL
        if node.shape == () and self.dialect.weak and usual:
            return self.number(value.item())
        return known(value, self, node.dtype) or self._array(_data(value), node.dtype)

    def of_its_own(self, node: Node) -> str:
        """A number that sets a dtype rather than takes that of what it meets: δ of the loss."""
        like = self.names.get(node.dtype)
        if self.dialect.module == "np" and like and node.shape == ():
            return f"{like}.dtype.type({self.number(node.value.item())})"
        if self.dialect.module == "jnp" and like and node.shape == ():
            return f"jnp.asarray({self.number(node.value.item())}, {like}.dtype)"
        return self.literal(node)

    def _array(self, data: str, dtype: np.dtype[Any]) -> str:
        like = self.names.get(dtype)
        if like and self.dialect.new:
            return self.dialect.new.format(like=like, data=data)
        array = self.dialect.array.format(data=data, dtype=self.dtype(dtype))
        return f"{array[:-1]}{self.device})"

    def large(self, name: str, node: Node) -> str:
        """A constant that stands above the function under ``name``, as an array of NumPy's."""
        if self.dialect.module == "np" and node.dtype not in self.names:
            return name
        return self._array(name, node.dtype)

    def promoted(self, node: Node, operands: list[str]) -> list[str]:
        """The operands such that the result has the node's dtype, as NumPy's promotion gives it.

        Whole numbers and truth values give floats of it: NumPy computes ``np.sin`` of whole numbers
        in double precision, PyTorch in its default one. A product has operands of one dtype.
        """
        if node.op.alike:
            return self._alike(node, operands)
        set_by_one = any(x.is_inexact and not _is_number(x) for x in node.inputs)
        numbers = any(x.is_float for x in node.inputs)
        truths = not numbers and all(x.dtype.kind == "b" for x in node.inputs)
        if not node.is_float or set_by_one or "dtype" in node.attrs:
            return operands
        if self.dialect.weak and not truths:
            return operands
        whole = any(x.dtype.kind in "iu" and not _is_number(x) for x in node.inputs)
        texts = []
        for x, text in zip(node.inputs, operands, strict=True):
            if _is_number(x):
                lone = x.is_float and not whole
                texts.append(self._array(text, node.dtype) if lone else text)
            elif x.dtype.kind in "iu" or not numbers:
                texts.append(self._cast(text, node.dtype))
            else:
                texts.append(text)
        return texts

    def _alike(self, node: Node, operands: list[str]) -> list[str]:
        """The operands in the dtype that NumPy promotes them to."""
        return [
            text if _is_number(x) or x.dtype == node.dtype else self._cast(text, node.dtype)
            for x, text in zip(node.inputs, operands, strict=True)
        ]

    def _cast(self, text: str, dtype: np.dtype[Any]) -> str:
        cast = self.dialect.cast
        return cast.format(x=text, dtype=self.dtype(dtype)) if cast else text

    def number(self, value: float) -> str:
        """A Python number; the largest ones as what they are in the arguments' precision."""
        for dtype, like in self.names.items():
            if dtype.kind == "f" and value == np.finfo(dtype).min / 2:
                return f"{self.dialect.module}.finfo({like}.dtype).min / 2"
        return _number(value)


def _is_number(node: Node) -> bool:
    """Is it a Python number, which takes the dtype of what it meets?"""
    return node.op is CONST and type(node.value) in (bool, int, float)


USUAL = (np.dtype(np.float64), np.dtype(np.int64))


def _number(value: float) -> str:
    return repr(value) if np.isfinite(value) else f"float('{value}')"


def _data(value: Any) -> str:
    data = repr(np.asarray(value).tolist())
    for word in ("inf", "nan"):
        data = data.replace(word, f"float('{word}')")
    return data


def known(value: Any, likes: Likes, dtype: np.dtype[Any]) -> str:
    """An array as the expression that it is: an identity, one number, a range, a triangle.

    >>> from allbps.readings.dialect import NUMPY
    >>> known(np.eye(3), Likes(NUMPY, {}, ""), np.dtype(float))
    'np.eye(3, dtype=np.float64)'
    >>> known(np.arange(3), Likes(NUMPY, {}, ""), np.dtype(int)) # short ones are literals
    ''
    """
    array = np.asarray(value)
    shape, end = array.shape, f"dtype={likes.dtype(dtype)}{likes.device})"
    if array.size == 0:  # a literal of no numbers has no other axes
        return f"{likes.dialect.module}.zeros({shape}, {end}"
    if array.size < KNOWN_SIZE or array.ndim == 0:
        return ""
    first = array.flat[0].item()
    candidates = {f"full({shape}, {first!r}, {end}": first} if np.isfinite(first) else {}
    if array.ndim == 1:
        candidates[f"arange({array.size}, {end}"] = np.arange(array.size)
    if array.ndim == 2:
        candidates[f"eye({shape[0]}, {end}"] = np.eye(shape[0]) if shape[0] == shape[1] else np.nan
        for side in (np.tril, np.triu):
            ones = f"{likes.dialect.module}.ones({shape}, {end}"
            candidates[f"{side.__name__}({ones})"] = side(np.ones(shape))
    found = (text for text, candidate in candidates.items() if np.all(array == candidate))
    return next((f"{likes.dialect.module}.{text}" for text in found), "")


def module_level(name: str, value: Any) -> str:
    r"""``C1 = …``: an array of any size as text that gives the same bits.

    >>> scope = {}
    >>> exec("\n".join([*PACKED, module_level("C1", np.arange(200.0))]), scope)
    >>> bool(np.array_equal(scope["C1"], np.arange(200.0)))
    True
    """
    array = np.ascontiguousarray(value)
    packed = base64.b64encode(zlib.compress(array.tobytes(), 9)).decode()
    lines = "\n".join(f'    "{line}"' for line in textwrap.wrap(packed, 92))
    kind = array.dtype.str
    return (
        f"{name} = np.frombuffer(zlib.decompress(base64.b64decode(  # {array.size} numbers\n"
        f"{lines}\n)), {kind!r}).reshape({array.shape}).copy()"
    )


PACKED = ("import base64", "import zlib", "import numpy as np")
"""What module-level arrays need that are packed into the text."""


def read_from(file: str, names: Iterable[str]) -> Iterator[str]:
    """Statements that read arrays from an ``.npz`` file beside the source."""
    yield f"with np.load(Path(__file__).with_name({file!r})) as _constants:"
    yield from (f"    {name} = _constants[{name!r}]" for name in names)


BESIDE = ("from pathlib import Path", "import numpy as np")
"""What module-level arrays need that are read from a file."""
