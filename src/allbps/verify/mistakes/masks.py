"""Masks, flips and labels inside of a formula."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from allbps.ir import Node
from allbps.verify.edges import code_of
from allbps.verify.mistakes.declare import Site, Slip, mistake
from allbps.verify.mistakes.rewritten import Way, steps

COMPARISONS = ("greater", "greater_equal", "less", "less_equal")


@mistake("mask inverted", "The mask is inverted: δ passes on the wrong side.", 1)
def mask_inverted(site: Site) -> Iterator[Slip]:
    def ways(node: Node, site: Site) -> Iterator[Way]:
        yield (
            f"the mask {code_of(node)} is inverted: the wrong side passes",
            (lambda a, b: ~node.op.run([a, b], node.attrs)),
        )

    return steps(site, ways, *COMPARISONS)


@mistake("mask of the upstream", "The mask is taken from the upstream δ, not from the value.", 1)
def mask_of_upstream(site: Site) -> Iterator[Slip]:
    def ways(node: Node, site: Site) -> Iterator[Way]:
        for y in site.gates[:1]:
            g = site.upstream(y)
            yield (
                f"the mask is taken from the upstream δ instead of {code_of(node)}",
                (lambda a, b, g=g: np.broadcast_to(node.op.run([g, 0], node.attrs), node.shape)),
            )

    return steps(site, ways, *COMPARISONS)


@mistake("mask ignored", "A mask, or a case of a distinction, is ignored.", 2)
def mask_ignored(site: Site) -> Iterator[Slip]:
    def ways(node: Node, site: Site) -> Iterator[Way]:
        c = code_of(node.inputs[0])
        yield (
            f"the mask is ignored: as if {c} were true everywhere",
            lambda c, a, b: np.broadcast_to(a, node.shape),
        )
        yield (
            f"the mask is ignored: as if {c} were false everywhere",
            lambda c, a, b: np.broadcast_to(b, node.shape),
        )
        yield (
            "the cases of a distinction are swapped: the mask is inverted",
            lambda c, a, b: np.where(c, b, a),
        )
        yield (
            f"the negative side is 0: where not {c} the slope is left out",
            lambda c, a, b: np.where(c, a, 0),
        )

    return steps(site, ways, "where")


@mistake("flip missing", "A kernel is not flipped, or flipped along one axis only.", 1)
def flip_missing(site: Site) -> Iterator[Slip]:
    def ways(node: Node, site: Site) -> Iterator[Way]:
        axis = node.attrs["axis"]
        axes = axis if isinstance(axis, tuple) else (axis,)
        text = "the kernel is not flipped" if len(axes) == 2 else "not flipped"
        yield text, (lambda a: a)
        if len(axes) == 2:
            for k in axes:
                yield (
                    f"the kernel is flipped along one axis only, {k}",
                    (lambda a, k=k: np.flip(a, k)),
                )
            yield "the kernel is transposed instead of flipped", (lambda a: np.swapaxes(a, -1, -2))
            yield (
                "the kernel is flipped and transposed",
                (lambda a: np.swapaxes(np.flip(a, axes), -1, -2)),
            )

    return steps(site, ways, "flip")


@mistake("label forgotten", "The term of the label is forgotten, or belongs to another class.", 0)
def label_forgotten(site: Site) -> Iterator[Slip]:
    def ways(node: Node, site: Site) -> Iterator[Way]:
        yield "the label's term (the one-hot target) is forgotten", lambda i: np.zeros(node.shape)
        for by in (1, -1):
            yield (
                "the label is off by one class",
                lambda i, by=by: np.roll(node.op.run([i], node.attrs), by, -1),
            )

    return steps(site, ways, "one_hot")
