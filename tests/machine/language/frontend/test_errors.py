"""What is not in the language of kernels is refused, with its line."""

from __future__ import annotations

import numpy as np
import pytest

from allbps.machine.language.build import compiled
from allbps.machine.language.frontend import KernelError, Program
from allbps.machine.language.target import host
from allbps.machine.language.words import Int, Reals, inline, kernel


def test_what_kernels_cannot_say_is_refused_with_its_line():
    @kernel
    def wrong(x: Reals) -> None:
        x[0] = [1.0]  # type: ignore[assignment]

    with pytest.raises(KernelError, match=r"test_errors\.py:\d+ in wrong: '\[1\.0\]' is no"):
        compiled(wrong, np.float64)


def test_a_formula_cannot_return_from_a_branch_decided_at_run_time():
    @inline
    def formula(x):
        if x > 0.0:
            return x
        return -x

    @kernel
    def caller(x: Reals) -> None:
        x[0] = formula(x[0])

    with pytest.raises(KernelError, match="returns from inside a branch"):
        compiled(caller, np.float64)


def test_mixing_numbers_of_two_kinds_is_refused():
    @kernel
    def mixed(x: Reals, n: Int) -> None:
        x[0] = x[0] * n

    with pytest.raises(KernelError, match="mixes Real and Int: convert one of them"):
        compiled(mixed, np.float64)


def test_two_kernels_of_one_name_are_refused():
    def make():
        @kernel
        def same(x: Reals) -> None:
            x[0] = 1.0

        return same

    program = Program(host(), single=False)
    program.export(make())
    with pytest.raises(KernelError, match="two kernels of one program are called same"):
        program.export(make())
