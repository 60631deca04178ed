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


def test_a_loop_shorter_than_a_vector_is_not_asked_to_become_one(target, capfd):
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
