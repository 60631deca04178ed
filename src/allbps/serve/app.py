"""Who is answered, and what: a page, derivations for it, and whether the file has changed."""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from allbps.serve.shell import shell
from allbps.serve.worker import Worker

if TYPE_CHECKING:
    from werkzeug import Request, Response

LARGEST_BODY = 1_000_000
"""Bytes of a request."""
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class App:
    """The WSGI application.

    A request is answered only with the token, under this machine's own name and port, and from a
    page that this server has given out.

    Args:
        worker: what computes.
        token: what every request must know.
        port: under which the server listens.
    """

    def __init__(self, worker: Worker, token: str, port: int = 0) -> None:
        self.worker, self.token, self.port = worker, token, port
        self._files: tuple[str, ...] = ()
        self._stamp: tuple[Any, ...] = ()
        self._version = 0

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        from werkzeug import Request

        request = Request(environ)
        request.max_content_length = LARGEST_BODY
        answer: Iterable[bytes] = self._answer(request)(environ, start_response)
        return answer

    def _answer(self, request: Request) -> Response:
        refused = self._refusal(request)
        if refused:
            return _text(*refused)
        act = {
            ("GET", "/"): self._page,
            ("POST", "/derive"): self._derive,
            ("POST", "/changed"): self._changed,
        }.get((request.method, request.path))
        return act(request) if act else _text(404, "there is nothing here")

    # -- who is answered -------------------------------------------------------------------------
    def _refusal(self, request: Request) -> tuple[int, str] | None:
        hosts = {f"{name}:{self.port}" for name in ("127.0.0.1", "localhost")}
        if request.headers.get("Host", "") not in hosts:
            return 403, "this server does not go by that name"
        origin = request.headers.get("Origin")
        needs_origin = request.method not in ("GET", "HEAD")
        if (origin is not None or needs_origin) and origin not in {f"http://{h}" for h in hosts}:
            return 403, "this page is from elsewhere"
        if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return 403, "this page is from elsewhere"
        told = request.headers.get("X-Token") if needs_origin else request.args.get("token")
        if not hmac.compare_digest((told or "").encode(), self.token.encode()):
            return 403, "the token is missing or wrong: use the address that allbps serve printed"
        if (request.content_length or 0) > LARGEST_BODY:
            return 413, "the request is too large"
        return None

    # -- what it gets ----------------------------------------------------------------------------
    def _page(self, request: Request) -> Response:
        from werkzeug import Response

        text, policy = shell(has_file=bool(self.worker.target), target=self.worker.target)
        response = Response(text, mimetype="text/html")
        response.headers.update(HEADERS | {"Content-Security-Policy": policy})
        return response

    def _derive(self, request: Request) -> Response:
        try:
            asked = json.loads(request.get_data())
        except (ValueError, RecursionError):
            return _text(400, "the request is not JSON")
        found = self.worker.ask(asked)
        if "files" in found:
            self._watch(tuple(found.pop("files")))
        return _json(found | {"version": self._version})

    def _changed(self, request: Request) -> Response:
        """How often the served files have changed; a change begins with a fresh process."""
        stamp = _stamp(self._files)
        if stamp != self._stamp:
            self._stamp = stamp
            self._version += 1
            self.worker.restart()
        return _json({"version": self._version})

    def _watch(self, files: tuple[str, ...]) -> None:
        if files != self._files:
            self._files, self._stamp = files, _stamp(files)


def _stamp(files: Iterable[str]) -> tuple[Any, ...]:
    """Equal as long as the files are."""
    return tuple(_of_file(file) for file in files)


def _of_file(file: str) -> tuple[int, int] | None:
    try:
        told = os.stat(file)
    except OSError:
        return None
    return told.st_mtime_ns, told.st_size


def _json(found: Any) -> Response:
    from werkzeug import Response

    text = json.dumps(found, ensure_ascii=False)
    data = text.encode(errors="replace")  # half of a pair of surrogates, which JSON may hold
    return Response(data, mimetype="application/json", headers=HEADERS)


def _text(status: int, text: str) -> Response:
    from werkzeug import Response

    return Response(f"{text}\n", status, mimetype="text/plain", headers=HEADERS)
