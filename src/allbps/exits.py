"""Exit codes of the command line."""

DONE = 0
FAILED = 1
"""A check failed."""
MISUSE = 2
"""The user's mistake: one message, nothing written."""
INTERRUPTED = 130
"""Ctrl-C or SIGTERM: 128 + the number of SIGINT, as shells report it."""
