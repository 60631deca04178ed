"""Calls of kernels: checked when they are made, and what follows from them."""

from __future__ import annotations

import pytest

from allbps.machine.execution.printing import written
from allbps.machine.kernels.conv import conv_forward
from allbps.machine.kernels.embedding import embedding
from allbps.machine.kernels.fill import fill, move
from allbps.machine.kernels.winograd import winograd_forward
from allbps.machine.language.calls import Finite
from allbps.machine.language.effects import effects
from allbps.machine.language.errors import KernelError
from allbps.machine.language.operands import HI, ITEM, LO, PIECE, Memory, Number, Scratch
from allbps.machine.language.words import Int, Ints, Reals, kernel

X, Y, K = Memory("x", 12), Memory("y", 12), Memory("k", 3, "Int")
ROWS = {"lo": LO, "hi": HI}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: move.on(Y=Y, **ROWS), "move needs X"),
        (lambda: move.on(Y=Y, X=X, Z=X, **ROWS), "move has no Z"),
        (lambda: move.on(Y=Y, X=K, **ROWS), "move: X is Reals, but Memory.*was given"),
        (lambda: move.on(Y=Y, X=X, lo=0.5, hi=HI), "move: lo is Int, but 0.5 was given"),
        (lambda: move.on(Y=Y, X=X, lo=LO, hi=X), "move: hi is Int"),
        (lambda: fill.on(X=X, value=True, **ROWS), "fill: value is Real, but True was given"),
        (lambda: embedding.on(Y=Y, E=X, index=X, C=3, **ROWS), "embedding: index is Ints"),
    ],
)
def test_a_call_that_does_not_fit_the_signature_is_refused(make, message):
    with pytest.raises(KernelError, match=message):
        make()


def test_what_a_call_reads_and_writes_is_found_in_the_kernel():
    call = embedding.on(Y=Y, E=X + 4, index=K, C=3, **ROWS)
    assert (call.reads, call.writes) == ((X, K), (Y,))
    assert set(call.blocks) == {X, Y, K}
    loss = Memory("L", 1)
    assert loss in call.when(Finite(loss)).reads
    assert Number(loss).memory in fill.on(X=X, value=Number(loss), **ROWS).reads


def test_effects_pass_through_pointers_and_calls():
    assert effects(conv_forward).writes == {"J", "scratch"}
    assert effects(winograd_forward).writes == {"J", "scratch"}

    @kernel
    def turns(P: Reals, Q: Reals, R: Ints, n: Int) -> None:
        a, b = P + n, Q
        c = b if n > 0 else a
        for i in range(n):
            row = c + i
            row[0] += a[R[i]]

    assert effects(turns).writes == {"P", "Q"}
    assert effects(turns).reads == {"P", "Q", "R"}


def test_scratch_and_variables_are_collected():
    call = move.on(Y=Scratch(10, 5) + LO * -2, X=X + (PIECE + 3), **ROWS)
    assert call.scratch == 15
    assert call.variables == {LO, HI, PIECE}


@pytest.mark.parametrize(
    ("operand", "text"),
    [
        (X + 0, "x + 0"),
        (X + (PIECE + 3) * 2, "x + (_p + 3) * 2"),
        ((X + 4) + ITEM // 3 % 5 * 7, "x + (_item // 3 % 5 * 7 + 4)"),
        (Scratch(10), "_scratch"),
        (Scratch(10, 5) + LO * -2, "_scratch + (5 + _lo * -2)"),
        (Number(X, 2), "x[2]"),
        (1e-5, "1e-05"),
    ],
)
def test_operands_are_written(operand, text):
    assert written(operand) == text
