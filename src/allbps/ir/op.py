"""An Op: everything there is to say about one operation, in one declaration."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from importlib import import_module
from types import FunctionType
from typing import Any, TypeVar

import numpy as np

from allbps.errors import AllBPsError, DtypeError, SingularError
from allbps.ir.arraylike import HARMLESS, NUMPY, OPERATORS, ArrayLike, refuse_complex
from allbps.ir.foreign import refuse_foreign
from allbps.ir.handle import TracedArray, handed, resolved
from allbps.ir.node import NO_ATTRS, ON_DEMAND, Node
from allbps.ir.notation import Notation, Template
from allbps.ir.site import line_site, user_site
from allbps.ir.snapshots import as_argument
from allbps.ir.traces import belongs_here
from allbps.ir.wording import in_user_terms
from allbps.tree import leaves

Shape = tuple[int, ...]
Aval = tuple[Shape, np.dtype[Any]]
"""What is known of an array without its numbers: shape and dtype."""

Text = str | Callable[[Mapping[str, Any], Mapping[str, Any]], str]
"""Source text of one expression: a ``str.format`` template over operands and attributes, or a
function of the two mappings (operand name -> text, or list of texts; attribute -> value)."""

OPS: dict[str, Op] = {}
"""The op table: every declared operation by name."""


@dataclass(frozen=True)
class Rule:
    """The BP rule of one operand: upstream δ in, this operand's contribution out.

    Attributes:
        build: ``build(g, y, *inputs, **attrs) -> Node``; builds nodes, never numbers. Its shape
            may be the broadcast one: ``backprop`` fits it to the operand in one place.
        because: the local derivative as mathematics, a template over ``{y}``, the operands and
            the attributes, or a function of them: ``"∂{y}/∂{x} = cos({x})"``.

    """

    build: Callable[..., Node]
    because: Template


@dataclass(frozen=True)
class Zero:
    """The derivative is zero wherever it exists (a comparison, an index, a rounding)."""

    because: str


@dataclass(frozen=True)
class Stopped(Zero):
    """The derivative is left out on purpose; who checks derivatives holds the result fixed."""


@dataclass(frozen=True)
class NotDifferentiable:
    """There is no derivative, and asking for one is an error."""

    because: str


@dataclass(frozen=True)
class NotImplementedRule:
    """There is a derivative, but allbps has no rule for it yet."""

    because: str


AnyRule = Rule | Zero | NotDifferentiable | NotImplementedRule
Draw = Shape | np.ndarray[Any, Any] | float | Callable[[np.random.Generator], Any]


@dataclass(frozen=True)
class Sample:
    """Operands on which an operation is tested.

    Attributes:
        operands: for each operand a shape (drawn uniformly from [low, high)), an array, a
            number, or a function of a random generator.
        attrs: its attributes.
        low, high: the range of drawn numbers.

    """

    operands: tuple[Draw, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    low: float = -2.0
    high: float = 2.0

    def draw(self, rng: np.random.Generator) -> list[Any]:
        """Operands with numbers, float64 unless given."""

        def one(spec: Draw) -> Any:
            if isinstance(spec, tuple):
                return rng.uniform(self.low, self.high, spec)
            return spec(rng) if callable(spec) else spec

        return [one(spec) for spec in self.operands]


@dataclass(frozen=True)
class Bad:
    """Operands that an operation must refuse, and the exact message it gives."""

    operands: tuple[Draw, ...]
    message: str
    attrs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class Op:
    """One operation.

    Attributes:
        name: its name in the table.
        doc: what it computes, in a sentence.
        operands: names of its array operands, ``"a b"``; ``"*xs"`` takes any number.
        shape: ``shape(*inputs, **attrs) -> (shape, dtype)``; raises ShapeError with ``{a}`` for
            an operand's name.
        numpy: its NumPy text; what runs, and what the source reading prints.
        rules: one per operand (a variadic operation has one for all, called with ``index=``).
        notation: its mathematics.
        torch: its PyTorch text, also the reference it is tested against.
        why_no_torch: why PyTorch cannot be the reference, because there is no text, or because its
            result may rightly be another.
        jax: its JAX text where that is not the NumPy text with ``jnp`` for ``np``.
        why_no_jax: why there is none.
        helpers: NumPy functions that the text calls, emitted with it.
        written: where NumPy gives a view, what becomes of the operand x when the view is
            overwritten: ``written(x, new, **attrs)``.
        implements: NumPy functions that mean this operation on traced arrays.
        operator: the Python operator that means it.
        expand: the same from simpler operations, an independent check; None if there are none.
        harmless: a number where it has a value and slopes; it stands for the operands that the
            ``where=`` of a ufunc leaves out.
        complex: does it take complex numbers, with rules that hold for them? Without it refuses.
        alike: do PyTorch or JAX want its operands in one dtype, where NumPy promotes them?
        samples: operands to test it on.
        bad: operands it refuses.

    """

    name: str
    doc: str
    operands: str
    shape: Callable[..., Aval]
    numpy: Text
    rules: tuple[AnyRule, ...]
    notation: Notation
    torch: Text | None
    jax: Text | None = None
    why_no_jax: str = ""
    why_no_torch: str = ""
    helpers: tuple[Callable[..., Any], ...] = ()
    written: Callable[..., Node] | None = None
    implements: tuple[Any, ...] = ()
    operator: str = ""
    expand: Callable[..., Node] | None = None
    harmless: float = HARMLESS
    complex: bool = False
    alike: bool = False
    samples: tuple[Sample, ...] = ()
    bad: tuple[Bad, ...] = ()

    def __post_init__(self) -> None:
        if self.name in OPS:
            raise ValueError(f"op {self.name!r} is declared twice")
        OPS[self.name] = self
        for function in self.implements:
            NUMPY[function] = self
        if self.operator:
            OPERATORS[self.operator] = self

    def __call__(self, *operands: Any, **attrs: Any) -> Node:
        if any(isinstance(x, TracedArray) for x in operands):  # the user's own use of an op
            made: Node = handed(apply(self, tuple(lift(resolved(x)) for x in operands), attrs))
            return made
        return apply(self, tuple(map(lift, operands)), attrs)

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the operands."""
        return tuple(name.lstrip("*") for name in self.operands.split())

    @property
    def variadic(self) -> bool:
        """Does it take any number of operands?"""
        return self.operands.startswith("*")

    def rule(self, index: int) -> AnyRule:
        """The rule of operand ``index``."""
        return self.rules[0 if self.variadic else index]

    def hands_back(self, index: int) -> bool:
        """Does operand ``index`` get a δ?"""
        return not isinstance(self.rule(index), Zero)

    def operand_texts(self, texts: list[Any]) -> dict[str, Any]:
        """Operand name -> its text (or the joined texts of a variadic operation)."""
        if self.variadic:
            return {self.names[0]: ", ".join(texts)}
        return dict(zip(self.names, texts, strict=True))

    def text(self, template: Text, operands: list[str], attrs: Mapping[str, Any]) -> str:
        """``template`` (one of this op's dialects) filled in."""
        if isinstance(template, str):
            shown = {key: source_repr(value) for key, value in attrs.items()}
            return template.format(**self.operand_texts(operands), **shown)
        named = {self.names[0]: operands} if self.variadic else self.operand_texts(operands)
        return template(named, attrs)

    def run(self, values: list[Any], attrs: Mapping[str, Any]) -> Any:
        """Evaluate the NumPy text on arrays.

        Raises:
            SingularError: NumPy finds no inverse or factorisation.

        """
        try:
            return self._evaluate(values, attrs)
        except np.linalg.LinAlgError as error:
            raise SingularError(
                f"{self.name}: {str(error)[:1].lower()}{str(error)[1:]}",
                where=str(user_site() or ""),
                got=", ".join(f"shape {np.shape(x)}" for x in values),
            ) from None

    def _evaluate(self, values: list[Any], attrs: Mapping[str, Any]) -> Any:
        return self.function(len(values), attrs)(*values)

    def function(self, count: int, attrs: Mapping[str, Any]) -> Callable[..., Any]:
        """The NumPy text as a function of so many arrays, for whoever runs it often."""
        if isinstance(self.numpy, str):
            return partial(self._template_function, **attrs) if attrs else self._template_function
        names = [f"x{i}" for i in range(count)]
        source = self.text(self.numpy, names, attrs)
        return _function(", ".join(names), source, self.helpers)

    @cached_property
    def _template_function(self) -> Callable[..., Any]:
        assert isinstance(self.numpy, str)
        fields = {name for _, name, _, _ in string.Formatter().parse(self.numpy) if name}
        attrs = sorted(fields - set(self.names))
        parameters = ", ".join(
            [*self.operands.split(), *([] if self.variadic else ["*"] * bool(attrs)), *attrs]
        )
        shown = {name: name for name in fields}
        if self.variadic:
            shown[self.names[0]] = "*" + self.names[0]
        return _function(parameters, self.numpy.format(**shown), self.helpers)


IMPORTS = {
    "np": ("numpy", "import numpy as np"),
    "numpy": ("numpy", "import numpy"),
    "special": ("scipy.special", "from scipy import special"),
    "splinalg": ("scipy.linalg", "from scipy import linalg as splinalg"),
}
"""Names that NumPy texts may use -> module, and the line that imports it."""


@lru_cache(maxsize=4096)
def _function(
    parameters: str, source: str, helpers: tuple[Callable[..., Any], ...]
) -> FunctionType:
    code = compile(f"lambda {parameters}: {source}", "<allbps op>", "eval")
    scope: dict[str, Any] = {helper.__name__: helper for helper in helpers}
    for name, (module, _) in IMPORTS.items():
        if f"{name}." in source:
            scope[name] = import_module(module)
    function: FunctionType = eval(code, scope)  # the text is the op's own declaration
    return function


def source_repr(value: Any) -> str:
    """A Python expression for an attribute's value."""
    if isinstance(value, np.dtype):
        return f"np.{value.name}"
    if isinstance(value, tuple):
        inner = ", ".join(map(source_repr, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return repr(value)


Composed = TypeVar("Composed", bound=Callable[..., Any])


def numpy_function(*functions: Any) -> Callable[[Composed], Composed]:
    """Say that a composed function is what these NumPy functions mean on traced arrays.

    A method of a ufunc is named by the pair ``(np.add, "reduce")``.
    """

    def register(composed: Composed) -> Composed:
        for function in functions:
            NUMPY[function] = composed
        return composed

    return register


# -- leaves ----------------------------------------------------------------------------------------
def _no_shape(*inputs: Node, **attrs: Any) -> Aval:
    raise AssertionError("leaves are built with their shape")


INPUT = Op(
    name="input",
    doc="An argument of the traced function.",
    operands="",
    shape=_no_shape,
    numpy="{name}",
    torch="{name}",
    rules=(),
    notation=Notation("{name}"),
)
CONST = Op(
    name="constant",
    doc="A number or array that does not depend on the arguments.",
    operands="",
    shape=_no_shape,
    numpy="{name}",
    torch="{name}",
    rules=(),
    notation=Notation("{name}"),
)

_on_demand: ContextVar[bool] = ContextVar("allbps_on_demand", default=False)


@contextmanager
def values_on_demand() -> Iterator[None]:
    """What is traced here gets its numbers when somebody asks for them, and else never.

    For those who want the graph alone; an ``if`` on a traced value still sees its number.
    """
    token = _on_demand.set(True)
    try:
        yield
    finally:
        _on_demand.reset(token)


PYTHON_DTYPES = {
    bool: np.dtype(bool),
    int: np.dtype(np.int64),
    float: np.dtype(np.float64),
    complex: np.dtype(np.complex128),
}
"""What a Python number is where no array says otherwise."""


_NUMBERS_FROM = {
    "U": "pass text by keyword, or let the function close over it",
}
"""Kind of dtype -> how to get rid of it."""


def array_of(value: Any, name: str = "") -> Any:
    """``value`` as something NumPy computes with: Python numbers stay as they are (weak dtype).

    Raises:
        DtypeError: it is not made of numbers.

    """
    if type(value) in PYTHON_DTYPES:
        return value
    if type(value) is not np.ndarray and not isinstance(value, (np.generic, list, tuple)):
        refuse_foreign(value, name)
    array = value if isinstance(value, (np.ndarray, np.generic)) else np.asarray(value)
    if array.dtype.kind not in "biufc":
        raise DtypeError(
            f"{name or 'an operand'} is not made of numbers",
            where=str(user_site() or ""),
            expected="bool, integer, floating-point or complex numbers",
            got=f"{type(value).__name__} with dtype {array.dtype}",
            todo=_numbers_from(value, array.dtype.kind),
        )
    return array


def _numbers_from(value: Any, kind: str) -> str:
    """What to do where ``value`` is not made of numbers."""
    if isinstance(value, Iterator):
        return "np.stack([…]) of what is yielded makes one array"
    if kind == "O" and np.size(value) > 1:
        return "give every axis one length and every element a number"
    return _NUMBERS_FROM.get(kind, "pass arrays of numbers")


def constant(value: Any, name: str = "") -> Node:
    """A node for a number or an array."""
    value = array_of(value, name)
    shape, dtype = _aval(value)
    return Node(CONST, (), shape, dtype, value=value, name=name)


def _aval(value: Any) -> Aval:
    """Shape and dtype of what ``array_of`` gave."""
    known = PYTHON_DTYPES.get(type(value))
    return ((), known) if known is not None else (value.shape, value.dtype)


def lift(value: Any) -> Node:
    """A node as it is, nested lists and arrays of nodes as one; anything else is a constant."""
    if isinstance(value, Node):
        return value
    if isinstance(value, TracedArray):
        return value.node
    if _in_a_list(value) or is_array_of_nodes(value):
        assembled: Node = NUMPY[np.array](value)
        return assembled
    return constant(value)


def _in_a_list(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and any(
        isinstance(x, ArrayLike) or is_array_of_nodes(x) for x in leaves(value)
    )


def is_array_of_nodes(value: Any) -> bool:
    """Is this what ``np.array([a, 1.0])`` makes of traced numbers: an array of objects?"""
    if not isinstance(value, np.ndarray) or value.dtype.kind != "O":
        return False
    return all(isinstance(x, (ArrayLike, int, float, np.number)) or _is_one(x) for x in value.flat)


def _is_one(x: Any) -> bool:
    """Is this an array without axes, which stands among numbers as one of them?"""
    return isinstance(x, np.ndarray) and not x.ndim and x.dtype.kind in "biuf"


def new_input(value: Any, trace: int, name: str = "") -> Node:
    """A fresh argument of a trace, with the value it has there."""
    value = as_argument(array_of(value, name))
    shape, dtype = _aval(value)
    attrs = {"name": name}
    node = Node(INPUT, (), shape, dtype, attrs=attrs, value=value, name=name, traces=trace)
    belongs_here(node)
    return node


def promote(*inputs: Node) -> np.dtype[Any]:
    """The dtype NumPy gives to an operation on ``inputs``; Python numbers are weak (NEP 50)."""
    first = inputs[0].dtype
    if all(node.dtype is first for node in inputs):
        return first
    return np.result_type(*(n.value if is_weak(n) else n.dtype for n in inputs))


def is_weak(node: Node) -> bool:
    """Is it a Python number, which takes the dtype of the array it meets?"""
    return node.op is CONST and type(node.value) in PYTHON_DTYPES  # not np.float64


def apply(op: Op, inputs: tuple[Node, ...], attrs: Mapping[str, Any] = NO_ATTRS) -> Node:
    """Use ``op`` on ``inputs``: check shapes, and compute the value where the inputs have one.

    Raises:
        AllBPsError: the operands do not fit; the message names the user's variables and line.

    """
    try:
        shape, dtype = op.shape(*inputs, **attrs)
    except AllBPsError as error:
        called = op.names * len(inputs) if op.variadic else op.names
        raise in_user_terms(error, inputs, called) from None
    value = None
    traces = 0
    for node in inputs:
        traces |= node.traces
        if node.dtype.kind == "c" and not op.complex:
            refuse_complex(op.name)
    for node in inputs:
        if not node.has_value:
            break
    else:
        late = traces and _on_demand.get()
        value = ON_DEMAND if late else op.run([node.value for node in inputs], attrs)
    if not traces and value is not None and all(map(is_weak, inputs)):
        return constant(value)  # arithmetic of Python numbers stays a Python number
    return Node(op, inputs, shape, dtype, attrs=attrs, value=value, site=line_site(), traces=traces)
