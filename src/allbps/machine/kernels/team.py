"""Threads inside native code: sharing out pieces of work, and waiting for each other.

A *team* is a block of 64-bit integers, one cache line (16 of them, for CPUs that fetch two lines)
per role. All threads of a team run the same step; a stage of it reads

    piece = first_piece(tid)
    while piece < pieces:
        ...                                   # the same work, whoever does it
        piece = next_piece(team, piece, threads)
    barrier(team, threads)

Pieces are handed out as threads become free, so a thread that the system delays holds up nobody
else. With one thread all of it is a plain loop.
"""

from __future__ import annotations

from allbps.machine.language.words import (
    Int,
    Ints,
    atomic_add,
    atomic_load,
    atomic_store,
    kernel,
    pause,
    yield_thread,
)

ARRIVED, GENERATION, TAKEN, FAILED = 0, 16, 32, 48
TEAM_SIZE = 64

#: Turns of busy waiting, about 10 µs, before a waiting thread offers its CPU to others.
SPINS = 256


@kernel(small=True)
def first_piece(tid: Int) -> Int:
    """The piece a thread begins a stage with."""
    return tid


@kernel(small=True)
def next_piece(team: Ints, piece: Int, threads: Int) -> Int:
    """The piece to do after ``piece``."""
    if threads == 1:
        return piece + 1
    return threads + atomic_add(team + TAKEN, 1)


@kernel
def barrier(team: Ints, threads: Int) -> None:
    """Wait until every thread of the team is here; the last one resets the count."""
    if threads == 1:
        return
    generation = atomic_load(team + GENERATION)
    if atomic_add(team + ARRIVED, 1) == threads - 1:
        atomic_store(team + ARRIVED, 0)
        atomic_store(team + TAKEN, 0)
        atomic_store(team + GENERATION, generation + 1)
        return
    spins = 0
    while atomic_load(team + GENERATION) == generation:
        spins += 1
        if spins < SPINS:
            pause()
        else:
            yield_thread()
