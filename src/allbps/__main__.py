"""``python -m allbps``."""

from allbps.cli import main

main()
