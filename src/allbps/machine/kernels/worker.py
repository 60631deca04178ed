"""What a helper thread does between steps: wait for work a while, then go to sleep in Python.

Each helper has a *desk*, a line of integers: a state, and what to call. The one who hands out work
moves the state from IDLE to WORK; the helper moves it back when done. A helper that has waited
long enough moves it from IDLE to ASLEEP and returns; it must then be woken from Python.
"""

from __future__ import annotations

from allbps.machine.language.words import (
    Int,
    Ints,
    atomic_load,
    atomic_store,
    call,
    compare_and_swap,
    kernel,
    pause,
    yield_thread,
)

STATE, CODE, THREADS, TEAM, ARGUMENTS = 0, 1, 2, 3, 4
DESK_SIZE = 16
IDLE, WORK, ASLEEP, LEAVE = 0, 1, 2, 3

#: Turns of waiting before sleep: busy ones, about 10 µs, then yielding ones, about 1 ms if alone.
SPINS, PATIENCE = 256, 3000


@kernel
def serve(desk: Ints, tid: Int) -> Int:
    """Do the work that appears on the desk, until none has for a while; the state at the end."""
    waited = 0
    while True:
        state = atomic_load(desk)
        if state == WORK:
            call(desk[CODE], tid, desk[THREADS], desk[TEAM], desk[ARGUMENTS])
            atomic_store(desk, IDLE)
            waited = 0
        elif state == LEAVE:
            return LEAVE
        else:
            waited += 1
            if waited < SPINS:
                pause()
            elif waited < PATIENCE:
                yield_thread()
            elif compare_and_swap(desk, IDLE, ASLEEP):
                return ASLEEP
    return LEAVE


@kernel
def hand_out(desks: Ints, threads: Int, code: Int, team: Int, arguments: Int) -> Int:
    """Put a step on the desks of threads 1, 2, ...; how many of them are asleep."""
    asleep = 0
    for helper in range(threads - 1):
        desk = desks + helper * DESK_SIZE
        desk[CODE] = code
        desk[THREADS] = threads
        desk[TEAM] = team
        desk[ARGUMENTS] = arguments
        if not compare_and_swap(desk, IDLE, WORK):
            asleep += 1
    return asleep


@kernel
def take_part(desks: Ints, threads: Int, code: Int, team: Int, arguments: Int) -> None:
    """Run the step as thread 0, then wait until every helper has finished it."""
    call(code, 0, threads, team, arguments)
    for helper in range(threads - 1):
        waited = 0
        while atomic_load(desks + helper * DESK_SIZE) == WORK:  # after it: IDLE, or ASLEEP already
            waited += 1
            if waited < SPINS:
                pause()
            else:
                yield_thread()


@kernel
def run(desks: Ints, threads: Int, code: Int, team: Int, arguments: Int) -> Int:
    """Hand out and take part in one go; or, if some helper is asleep, only hand out and say so."""
    asleep = hand_out(desks, threads, code, team, arguments)
    if asleep == 0:
        take_part(desks, threads, code, team, arguments)
    return asleep
