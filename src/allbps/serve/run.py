"""Listen on 127.0.0.1 until Ctrl-C."""

from __future__ import annotations

import logging
import secrets
import signal
import webbrowser
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

from allbps.errors import ArgumentError
from allbps.extras import needs
from allbps.serve.app import LARGEST_BODY, App
from allbps.serve.worker import Worker

PATIENCE = 10
"""Seconds that a client may be silent in the middle of a request."""


def listen(
    target: str = "", *, port: int = 0, limit: float = 20.0, open_page: bool = False,
    tell: Callable[[str], object] = print,
) -> None:  # fmt: skip
    """Serve until interrupted.

    Args:
        target: ``FILE.py:FUNCTION``, or empty.
        port: to listen on; any free one where 0.
        limit: seconds that one derivation may take.
        open_page: open the page in a browser?
        tell: is given the address.

    Raises:
        MissingExtraError: the server's libraries are not installed.
        ArgumentError: the port is taken.
    """
    with needs("waitress", extra="serve", purpose="allbps serve"):
        import waitress
    with needs("werkzeug", extra="serve", purpose="allbps serve"):
        import werkzeug  # noqa: F401
    with needs("lark", extra="serve", purpose="allbps serve"):
        import lark  # noqa: F401

    logging.getLogger("waitress").setLevel(logging.ERROR)  # not how many requests are waiting
    signal.signal(signal.SIGTERM, _end)
    worker = Worker(target, limit)
    try:
        app = App(worker, secrets.token_urlsafe(32))
        server = _server(waitress, app, port)
        app.port = int(server.effective_port)
        address = f"http://127.0.0.1:{app.port}/?token={app.token}"
        tell(address)
        if open_page:
            webbrowser.open(address)
        server.run()
    finally:
        worker.stop()


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """Let the process that computes be ended too."""
    raise SystemExit(0)


def _server(waitress: Any, app: App, port: int, patience: int = PATIENCE) -> Any:
    try:
        return waitress.create_server(
            app, host="127.0.0.1", port=port, threads=4, ident=None, connection_limit=50,
            channel_timeout=patience, cleanup_interval=1, max_request_header_size=16_384,
            max_request_body_size=LARGEST_BODY,
        )  # fmt: skip
    except OSError as error:
        raise ArgumentError(
            f"cannot listen on port {port}: {error.strerror}", expected="a free port",
            todo="leave --port out",
        ) from None  # fmt: skip
