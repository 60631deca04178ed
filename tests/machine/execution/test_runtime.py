"""Threads: every piece is done once, barriers hold, and the number of threads changes no bit."""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest

from allbps.machine.execution import runtime
from allbps.machine.kernels.reduce import combine, sum_rows
from allbps.machine.kernels.team import (
    barrier,
    first_piece,
    next_piece,
    take_piece,
    team_size,
)
from allbps.machine.language import cache
from allbps.machine.language.target import host
from allbps.machine.language.words import Int, Ints, Reals, kernel, nanoseconds, pointer_at


@kernel
def chain(tid: Int, threads: Int, team: Ints, arguments: Ints) -> None:
    """Stages that each read what other pieces wrote in the stage before."""
    a, b = pointer_at(arguments, 0), pointer_at(arguments, 1)
    pieces = arguments[2]
    for _ in range(arguments[3]):
        rotate(a, b, pieces, tid, threads, team)
        rotate(b, a, pieces, tid, threads, team)


@kernel
def rotate(source: Reals, to: Reals, pieces: Int, tid: Int, threads: Int, team: Ints) -> None:
    p = first_piece(team, tid, threads, pieces)
    while p < pieces:
        to[p] = source[(p + 1) % pieces] + 1.0
        p = next_piece(team, p, tid, threads, pieces)
    barrier(team, threads)


@kernel
def total(tid: Int, threads: Int, team: Ints, arguments: Ints) -> None:
    """A sum of 13 fixed pieces."""
    x, parts, out = pointer_at(arguments, 0), pointer_at(arguments, 1), pointer_at(arguments, 2)
    p = first_piece(team, tid, threads, 13)
    while p < 13:
        sum_rows(parts + p, x, 1, 1, p * 1000, (p + 1) * 1000)
        p = next_piece(team, p, tid, threads, 13)
    barrier(team, threads)
    if tid == 0:
        combine(out, parts, 1, 13, 0, 1)


@kernel
def long_end(tid: Int, threads: Int, team: Ints, arguments: Ints) -> None:
    """Thread 0 has 20 ms more to do than the others, who fall asleep meanwhile."""
    barrier(team, threads)
    if tid == 0:
        start = nanoseconds()
        while nanoseconds() - start < 20_000_000:
            pass
        pointer_at(arguments, 0)[0] += 1.0


@pytest.fixture(scope="module")
def steps():
    loaded, _ = cache.load_kernels((chain, total, long_end), host(), single=True)
    return lambda name, arguments, threads: runtime.Step(loaded, name, arguments, threads)


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_stages_see_the_stages_before_them(threads, steps):
    pieces, rounds = 11, 100
    a, b = np.arange(pieces, dtype=np.float32), np.zeros(pieces, np.float32)
    steps("chain", [a, b, pieces, rounds], threads)()
    np.testing.assert_array_equal(a, np.roll(np.arange(pieces), -2 * rounds) + 2 * rounds)


def test_a_thread_begins_with_its_own_share_and_ends_with_what_others_left():
    _, (take,) = cache.load_kernels((take_piece,), host(), single=True)
    team = np.zeros(team_size(2), np.int64)
    taken = [take(team.ctypes.data, 1, 2, 7) for _ in range(5)]
    assert taken == [3, 4, 5, 6, 0]
    assert [take(team.ctypes.data, 0, 2, 7) for _ in range(3)] == [1, 2, 7]


def test_sums_are_bit_identical_for_any_number_of_threads(steps):
    x = np.random.default_rng(0).standard_normal(13_000).astype(np.float32)
    sums = set()
    for threads in (1, 2, 3, 5, 2, 1):
        parts, out = np.zeros(13, np.float32), np.zeros(1, np.float32)
        steps("total", [x, parts, out], threads)()
        sums.add(out.tobytes())
    assert len(sums) == 1
    np.testing.assert_allclose(out[0], x.sum(dtype=np.float64), rtol=1e-4)


def test_helpers_that_fell_asleep_are_woken(steps):
    a, b = np.zeros((2, 4), np.float32)
    step = steps("chain", [a, b, 4, 1], 3)
    for _ in range(5):
        step()
        time.sleep(0.02)
    np.testing.assert_array_equal(a, 10)


def test_helpers_may_fall_asleep_before_the_step_is_over(steps):
    ends = np.zeros(1, np.float32)
    step = steps("long_end", [ends], 3)
    for k in range(3):
        step()
        assert ends[0] == k + 1


def test_steps_called_from_several_python_threads_take_turns(steps):
    arrays = [np.zeros((2, 8), np.float32) for _ in range(4)]
    made = [steps("chain", [x[0], x[1], 8, 50], 2) for x in arrays]
    callers = [threading.Thread(target=lambda s=s: [s() for _ in range(20)]) for s in made]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for x in arrays:
        np.testing.assert_array_equal(x[0], 2000)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_gets_helpers_of_its_own(steps):
    a, b = np.zeros((2, 4), np.float32)
    step = steps("chain", [a, b, 4, 1], 2)
    step()
    child = os.fork()
    if child == 0:
        step()
        os._exit(0 if (a == 4).all() else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_all_cpus_of_this_process_by_default():
    assert 1 <= runtime.default_threads() <= (os.cpu_count() or 1)
