"""Threads inside native code: sharing out pieces of work, and waiting for each other.

A *team* is a block of 64-bit integers, one cache line (16 of them, for CPUs that fetch two lines)
per role. All threads of a team run the same step; a stage of it reads

    piece = first_piece(team, tid, threads, pieces)
    while piece < pieces:
        ...                                   # the same work, whoever does it
        piece = next_piece(team, piece, tid, threads, pieces)
    barrier(team, threads)

Each thread begins with pieces of its own, the same share of every stage: what it has written of one
stage is in its own cache when the next one reads it. Who is done takes what others have left, so a
thread that the system delays holds up nobody else. With one thread all of it is a plain loop.
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

ROLE = 16
ARRIVED, GENERATION, TAKEN = 0, ROLE, 2 * ROLE
"""Where the roles begin; from TAKEN on each thread has one: how many of its pieces are gone."""

#: Turns of busy waiting, about 10 µs, before a waiting thread offers its CPU to others.
SPINS = 256


def team_size(threads: int) -> int:
    """Integers in a team of so many threads."""
    return TAKEN + ROLE * threads


@kernel(small=True)
def first_piece(team: Ints, tid: Int, threads: Int, pieces: Int) -> Int:
    """The piece a thread begins a stage with."""
    if threads == 1:
        return 0
    return take_piece(team, tid, threads, pieces)


@kernel(small=True)
def next_piece(team: Ints, piece: Int, tid: Int, threads: Int, pieces: Int) -> Int:
    """The piece to do after ``piece``."""
    if threads == 1:
        return piece + 1
    return take_piece(team, tid, threads, pieces)


@kernel
def take_piece(team: Ints, tid: Int, threads: Int, pieces: Int) -> Int:
    """One of the thread's own pieces, or one that another has left, or ``pieces`` if none is."""
    for k in range(threads):
        owner = (tid + k) % threads
        first, end = owner * pieces // threads, (owner + 1) * pieces // threads
        taken = team + (TAKEN + owner * ROLE)
        if atomic_load(taken) < end - first:
            piece = first + atomic_add(taken, 1)
            if piece < end:
                return piece
    return pieces


@kernel
def barrier(team: Ints, threads: Int) -> None:
    """Wait until every thread of the team is here; the last one resets the count."""
    if threads == 1:
        return
    generation = atomic_load(team + GENERATION)
    if atomic_add(team + ARRIVED, 1) == threads - 1:
        atomic_store(team + ARRIVED, 0)
        for owner in range(threads):
            atomic_store(team + (TAKEN + owner * ROLE), 0)
        atomic_store(team + GENERATION, generation + 1)
        return
    spins = 0
    while atomic_load(team + GENERATION) == generation:
        spins += 1
        if spins < SPINS:
            pause()
        else:
            yield_thread()
