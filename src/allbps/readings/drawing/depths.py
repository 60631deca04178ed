"""About how many layers lie before each box, as the layout would find without being asked."""

from __future__ import annotations

from collections.abc import Container, Sequence

from allbps.readings.drawing.geometry import Link


def depths(count: int, links: Sequence[Link], leaves: Container[int]) -> list[int]:
    """One for each of ``count`` boxes; only differences matter.

    Everything stands as early as it can, except what waits for nothing but arguments, such as the
    rows ``x[t]`` that a loop reads: that stands right before its first use.

    Args:
        count: how many boxes there are.
        links: the arrows, each from an earlier box to a later one.
        leaves: boxes that no arrow enters.

    >>> depths(4, [Link(0, 1), Link(1, 2), Link(3, 2)], leaves={0, 3})
    [-1, 0, 1, 0]
    """
    before: list[list[int]] = [[] for _ in range(count)]
    after: list[list[int]] = [[] for _ in range(count)]
    for link in links:
        after[link.source].append(link.target)
        if link.source not in leaves:
            before[link.target].append(link.source)
    early = [0] * count
    for k in range(count):
        early[k] = 1 + max((early[source] for source in before[k]), default=-1)
    late = early.copy()
    for k in reversed(range(count)):
        late[k] = min((late[target] for target in after[k]), default=early[k] + 1) - 1
    held = [False] * count
    for k in range(count):
        on_longest_path = early[k] == late[k] and k not in leaves
        held[k] = on_longest_path or any(held[source] for source in before[k])
    found = early.copy()
    for k in reversed(range(count)):
        if after[k] and not held[k]:
            found[k] = min(found[target] for target in after[k]) - 1
    return found
