"""Every loop that says it is made of lanes becomes vector code, on every vector width."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

from allbps.machine import kernels
from allbps.machine.language import native
from allbps.machine.language.frontend import Program
from allbps.machine.language.words import Kernel

MODULES = [m.name for m in pkgutil.iter_modules(kernels.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_lanes_become_vectors(name, target, capfd):
    module = importlib.import_module(f"allbps.machine.kernels.{name}")
    program = Program(target, single=True, insist=True)
    for kernel in vars(module).values():
        if isinstance(kernel, Kernel) and not kernel.expand:
            program.export(kernel)
    native.optimise(program.text(), target)
    assert "not vectorized" not in capfd.readouterr().err


def test_a_loop_that_cannot_become_vectors_is_noticed(target, capfd):
    from allbps.machine.language.words import Int, Reals, kernel, lanes

    @kernel
    def running_sum(x: Reals, n: Int) -> None:
        total = 0.0
        for i in lanes(n):
            total += x[i]  # no reordering was allowed
            x[i] = total

    program = Program(target, single=True, insist=True)
    program.export(running_sum)
    native.optimise(program.text(), target)
    assert "not vectorized" in capfd.readouterr().err


def test_what_is_left_of_a_short_loop_becomes_shorter_vectors_without_a_word(target, capfd):
    from allbps.machine.language.words import Reals, kernel, lanes

    @kernel
    def a_few(x: Reals, y: Reals) -> None:
        for i in lanes(23):
            y[i] = x[i] + y[i]

    program = Program(target, single=True)
    program.export(a_few)
    code = str(native.optimise(program.text(), target))
    assert f"load <{target.lanes(4)} x float>" in code
    assert "load <4 x float>" in code
    assert "masked" not in code
    assert capfd.readouterr().err == ""


def test_two_or_three_turns_are_no_vector_and_may_depend_on_each_other(target, capfd):
    from allbps.machine.language.words import Reals, kernel, lanes

    @kernel
    def pair(x: Reals) -> None:
        total = 0.0
        for i in lanes(2):
            total += x[i]
            x[i] = total

    program = Program(target, single=True)
    program.export(pair)
    native.optimise(program.text(), target)
    assert capfd.readouterr().err == ""
