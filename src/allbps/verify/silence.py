"""How a judge declines to speak."""

from __future__ import annotations


class Silence(Exception):  # noqa: N818  (not an error: the other judges go on)
    """A judge has nothing to say on a case; the message is the reason."""
