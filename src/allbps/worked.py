"""A worked function: every value and every δ, and all the ways to read them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from allbps.backward import Backward, backward
from allbps.errors import ArgumentError
from allbps.files import write_bytes, write_text
from allbps.ir import Node
from allbps.readings.derivation import Derivation, Step, derivation
from allbps.readings.dialect import dialect_named
from allbps.readings.dust import Swept, swept
from allbps.readings.granularity import hidden
from allbps.readings.numbers import USUAL, Numerals
from allbps.readings.source import Program, emit
from allbps.sheet import sheet
from allbps.trace import bound, check_inputs, trace_bound

if TYPE_CHECKING:
    from allbps.readings.levels import Level
    from allbps.verify import Report
    from allbps.verify.plain import Witness


@dataclass(frozen=True)
class Entry:
    """One value of a worked function, and its δ.

    Attributes:
        name: the user's variable.
        value: its number or array.
        delta: δ of it, in its shape; None where none was asked for.
        formula: how the δ is computed: ``δZ₃ = δZ₄ W₂ᵀ``; empty where there is none.
        because: why.
        forward: how the value is computed: ``Z₄ = Z₃ W₂``; empty for arguments.
        line: the user's line, as ``file.py:3 in net: Z4 = Z3 @ W2``.
        steps: its part of the derivation: the value, what each use contributes to δ, and δ.
    """

    name: str
    value: Any
    delta: Any
    formula: str
    because: str
    forward: str
    line: str
    steps: tuple[Step, ...] = field(default=(), repr=False, compare=False)

    def _repr_html_(self) -> str:
        from allbps.readings.mathml import typeset

        return sheet(typeset(list(self.steps)))


def _handed_out(value: Any) -> Any:
    """A copy of an array: what is written into it changes no reading."""
    return value.copy() if isinstance(value, np.ndarray) else value


@dataclass(frozen=True, eq=False)
class Worked:
    """What ``explain`` returns.

    ``w["Z2"]`` is one entry; ``w.names`` lists them. In a notebook it shows itself.

    Attributes:
        backward: the graph with its δ nodes.
        values: every number, by name; ``values["dX"]`` is δX.
        symbols: how names are written where the name itself would not do.
        look: how numbers are shown.
        by: each "operation" a step of the derivation, or each "line" of the function, or lines in
            their "block": calls of the user's functions, modules, turns of loops.
        labels: headings above steps, by the steps' names.
        witness: can run the function itself again; None where there is no such function.
        numpy: the source that gave the numbers, where it is at hand.
    """

    backward: Backward
    values: Mapping[str, Any] = field(repr=False)
    symbols: Mapping[str, str] = field(default_factory=dict)
    witness: Witness | None = None
    look: Numerals = USUAL
    by: str = "operation"
    labels: Mapping[str, str] = field(default_factory=dict)
    numpy: Program | None = field(default=None, repr=False)

    # -- looking things up -----------------------------------------------------------------------
    @property
    def names(self) -> tuple[str, ...]:
        """Every name, in the order of the forward pass."""
        traced = self.backward.traced
        unused = [x for x in traced.graph.inputs if x not in traced.graph.users]
        return tuple(n.name for n in (*unused, *traced.graph.nodes) if n.name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __getitem__(self, name: str) -> Entry:
        """The value of that name with its δ.

        Raises:
            NameUnknownError: there is none.
        """
        node = self.backward.traced.find(name)
        if node is None:
            raise self.backward.traced.unknown(name, list(self.names), "value")
        own, of_delta = node.name, self.backward.traced.deltas[node.name]
        forward, delta = self._steps.get(own), self._steps.get(of_delta)
        return Entry(
            name=name,
            value=_handed_out(self.values[own]),
            delta=_handed_out(self.values.get(of_delta)),
            formula=delta.formula if delta else "",
            because=delta.because if delta else "",
            forward=forward.formula if forward else "",
            line=str(node.site or ""),
            steps=tuple(self._steps[step] for step in self._about(node) if step in self._steps),
        )

    def _about(self, node: Node) -> list[str]:
        """The names of a value's steps, in order."""
        delta = self.backward.deltas.get(node)
        terms = delta.terms if delta is not None and len(delta.terms) > 1 else ()
        own = self.backward.traced.deltas[node.name]
        return [node.name, *(term.node.name for term in terms), own]

    @cached_property
    def _steps(self) -> dict[str, Step]:
        return {step.name: step for step in self.derivation.steps}

    @cached_property
    def derivation(self) -> Derivation:
        """Every step with formula, substitution, value and reason."""
        return derivation(
            self.backward, self._swept.values, self.symbols, self.look, self.by, self.labels,
            self._swept.dust, self._hidden,
        )  # fmt: skip

    @cached_property
    def _hidden(self) -> frozenset[Node]:
        """The values that stand in the formulas of others."""
        return hidden(self.backward, self.by)

    @cached_property
    def _swept(self) -> Swept:
        """The numbers as they are shown: 0 where they are nothing but rounding."""
        return swept(self.backward, self.values)

    def shown(self, *, by: str = "", **numerals: Any) -> Worked:
        """The same with other numerals, limits or steps.

        Args:
            by: "operation", "line" or "block"; as before where empty.
            numerals: ``digits``, ``decimals``, ``exact``, ``side``, ``size``, as in ``Numerals``.

        Raises:
            ArgumentError: there is no such granularity or setting, or it is negative.

        >>> import allbps as bp
        >>> worked = bp.explain(lambda x: x / 3, x=1.0)
        >>> print(worked.shown(digits=7).to_text().splitlines()[-2].strip())
        δx ≡ ∂L/∂x = δL / 3 = 1 / 3 = 0.3333333
        >>> print(worked.shown(exact=True).to_text().splitlines()[-2].strip())
        δx ≡ ∂L/∂x = δL / 3 = 1 / 3 = 1/3
        """
        return replace(self, look=self.look.changed(**numerals), by=by or self.by)

    # -- checking --------------------------------------------------------------------------------
    def verify(self, *, seed: int = 0) -> Report:
        """Compare every δ with the judges that apply; the report is true when all agree.

        The function's own value on plain arrays must be that of the graph, too.

        Args:
            seed: of the random directions that finite differences take.
        """
        from allbps.verify import verify

        plain = self.witness.judges(self.backward, self.values) if self.witness else None
        return verify(self.backward, self.values, seed=seed, plain=plain)

    # -- reading ---------------------------------------------------------------------------------
    def program(self, dialect: str = "numpy") -> Program:
        """The emitted source, with its parts."""
        if dialect == "numpy" and self.numpy is not None:
            return self.numpy
        return emit(self.backward, dialect_named(dialect))

    def to_source(
        self, dialect: str = "numpy", path: Path | str | None = None, *, form: str = "function"
    ) -> str:
        """A function that computes the results and their gradients, called as the user's own.

        The NumPy text is the one that produced the numbers. It is for arrays of these shapes, and
        refuses others.

        Args:
            dialect: "numpy", "torch" or "jax".
            form: "function" for one that returns results and gradients; for a function of the
                framework's own that its automatic derivatives take, "autograd" in PyTorch
                (a ``torch.autograd.Function``) and "custom_vjp" in JAX.
            path: where to write it; large constants that the function captured are then written
                into a file of the same name with the ending ``.npz``, and read from there.

        Raises:
            ArgumentError: there is no such dialect, or it has no such form.
            NoRuleError: an operation cannot be written in it.
            UserFileError: a file cannot be written.
        """
        if form != "function":
            text = self._differentiable(dialect, form)
            if path is not None:
                write_text(path, text)
            return text
        program = self.program(dialect)
        if path is None:
            return program.text
        beside = Path(path).with_suffix(".npz")
        text = program.text_beside(beside.name)
        if program.constants:
            packed = BytesIO()
            np.savez(packed, **program.constants)
            write_bytes(beside, packed.getvalue())
        write_text(path, text)
        return text

    def _differentiable(self, dialect: str, form: str) -> str:
        """Source with a δ of the results as an argument, in a framework's own form."""
        from allbps.readings.autograd_function import autograd_function
        from allbps.readings.custom_vjp import custom_vjp
        from allbps.readings.split import differentiable, guards_of, split

        forms = {("torch", "autograd"): autograd_function, ("jax", "custom_vjp"): custom_vjp}
        if (dialect, form) not in forms:
            raise ArgumentError(
                f"there is no form {form!r} in {dialect}",
                expected=f"function, or {' or '.join(f'{b} in {a}' for a, b in forms)}",
                got=repr(form),
            )
        traced, target = self.backward.traced, dialect_named(dialect)
        names = [x.name for x in self.backward.wrt]
        cut = split(differentiable(traced, names), target)
        return forms[dialect, form](cut, guards_of(traced, target))

    def to_text(self, width: int = 80, color: bool = False, by: str = "") -> str:
        """The derivation for a terminal of so many columns; ``by`` as in ``shown``."""
        from allbps.readings.text import to_text

        return to_text(self.shown(by=by).derivation, width, color)

    def to_markdown(self) -> str:
        """The derivation as Markdown with LaTeX formulas."""
        from allbps.readings.markdown import to_markdown

        return to_markdown(self.derivation)

    def to_latex(self) -> str:
        """The derivation as a document that pdflatex compiles."""
        from allbps.readings.latex import to_latex

        return to_latex(self.derivation)

    def to_fragment(self) -> str:
        """The derivation as aligned LaTeX equations without a preamble; needs amsmath."""
        from allbps.readings.slides import to_fragment

        return to_fragment(self.derivation)

    def to_beamer(self) -> str:
        """The derivation as Beamer frames, on which the steps appear one after another."""
        from allbps.readings.slides import to_beamer

        return to_beamer(self.derivation)

    def to_mathml(self) -> str:
        """The derivation as an HTML fragment with native MathML formulas."""
        from allbps.readings.mathml import to_mathml

        return to_mathml(self.derivation)

    def to_svg(self) -> str:
        """The computational graph with δ beside every node.

        By block, and of a large net, its pieces.
        """
        from allbps.readings.overview import overview
        from allbps.readings.picture import fits, picture

        if self.by == "block" or not fits(self.backward, self._hidden):
            return overview(self.backward, named=self.by == "block")
        return picture(self.backward, self._swept.values, self.symbols, hidden=self._hidden)

    def to_tikz(self) -> str:
        r"""The picture as TikZ, for ``\input`` into a LaTeX document; needs tikz and amsmath."""
        from allbps.readings.tikz import to_tikz

        return to_tikz(
            self.backward, self._swept.values, self.symbols, self.by == "block", self._hidden
        )

    def to_html(self, path: Path | str | None = None, *, verify: bool = False) -> str:
        """A self-contained page to step through; written to ``path`` if given.

        Picture, derivation and both sources, the function's own and the emitted one, move
        together. Without a script, and on paper, everything is shown at once.

        Args:
            path: where to write it.
            verify: ask the judges, and show at every δ what they say.

        Raises:
            UserFileError: the file cannot be written.
        """
        from allbps.page import Block, page

        title = self.backward.traced.title
        text = page(title, "", [Block("Derivation", self.to_walk(verify=verify), "walk")])
        if path is not None:
            write_text(path, text)
        return text

    def to_walk(self, *, verify: bool = False) -> str:
        """The part of a page that steps through this derivation, as HTML."""
        from allbps.page.walk import Parts, walk, without_collection

        report = self.verify() if verify else None
        texts = {"tex": self.to_latex, "md": self.to_markdown, "json": self.to_json}
        with without_collection():
            derived, drawn = self.derivation, self.to_svg
            source = self.program()
            return walk(Parts(self.backward, derived, drawn, source, texts, self._levels, report))

    def _levels(self) -> Iterable[Level]:
        """The insides of the picture's boxes; it has some by block."""
        from allbps.readings.levels import levels

        if self.by != "block":
            return ()
        return levels(self.backward, self._swept.values, self.symbols, self._hidden)

    def to_json(self) -> str:
        """Names, formulas, numbers, reasons and lines, for a program to read."""
        return json.dumps(self.derivation.to_json(), indent=2, ensure_ascii=False)

    def render(self, form: str, width: int = 100) -> str:
        """The reading of that name.

        Raises:
            ArgumentError: there is none.
        """
        if form not in FORMATS:
            raise ArgumentError(
                f"unknown format {form!r}", expected=", ".join(FORMATS), got=repr(form)
            )
        return self.to_text(width) if form == "text" else FORMATS[form](self)

    # -- in a notebook ---------------------------------------------------------------------------
    def __repr__(self) -> str:
        traced = self.backward.traced
        return f"<{traced.title} worked: {', '.join(self.names)}>"

    def _repr_html_(self) -> str:
        return sheet(f"<figure>{self.to_svg()}</figure>\n{self.to_mathml()}")

    def _repr_markdown_(self) -> str:
        return self.to_markdown()


FORMATS: dict[str, Callable[[Worked], str]] = {
    "text": Worked.to_text,
    "markdown": Worked.to_markdown,
    "latex": Worked.to_latex,
    "fragment": Worked.to_fragment,
    "beamer": Worked.to_beamer,
    "svg": Worked.to_svg,
    "tikz": Worked.to_tikz,
    "html": Worked.to_html,
    "json": Worked.to_json,
    "source": Worked.to_source,
}
"""Format name -> the reading that gives it."""


def explain(
    f: Callable[..., Any],
    /,
    *args: Any,
    wrt: Iterable[str] | None = None,
    cotangents: Mapping[str, Any] | None = None,
    symbols: Mapping[str, str] | None = None,
    **inputs: Any,
) -> Worked:
    """Work out the backward pass of ``f``: every value, every δ, every reason.

    ``f`` is run once on traced arrays and, where that is short, once on plain ones, with the same
    random numbers: both must give the same.

    Args:
        f: a plain Python function of arrays; it should return one number, the loss.
        args: its arguments by position.
        wrt: names of the arguments whose δ is wanted; every floating-point one where None.
        cotangents: output name -> its δ, for a function that returns no single number.
        symbols: name -> how to write it: ``{"Yp": "Yᵖ"}``.
        inputs: its arguments by keyword.

    Raises:
        ShapeError: shapes do not fit, or an argument is empty.
        NonFiniteError: an argument holds NaN or infinity.
        NotScalarError: ``f`` does not return a scalar and no cotangent was given.
        NameUnknownError: ``wrt`` or ``cotangents`` names nothing.
        PlainValueError: on plain arrays ``f`` gives another value.

    >>> import allbps as bp
    >>> def net(x, w):
    ...     z = x * w
    ...     return z ** 2
    >>> worked = bp.explain(net, x=3.0, w=2.0)
    >>> worked["w"].formula, float(worked["w"].delta), worked["w"].because
    ('δw = x δz', 36.0, 'z = x w, ∂z/∂w = x')
    """
    from allbps.verify.plain import Witness

    arguments = bound(f, args, inputs, asked=explain)
    witness = Witness(f, arguments)
    traced = trace_bound(f, arguments)
    check_inputs(traced)
    worked = backward(traced, wrt, cotangents)
    given = {**traced.values, **worked.given}
    program = emit(worked)
    values = program.run({node.name: value for node, value in given.items()})
    witness.require(traced, values)
    return Worked(worked, values, dict(symbols or {}), witness, numpy=program)
