"""Who is answered: a page of this very server, with its token, in time and within limits."""

import json
import socket
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest

waitress = pytest.importorskip("waitress")
pytest.importorskip("werkzeug")
pytest.importorskip("lark")
from werkzeug.test import Client  # noqa: E402

from allbps.serve.app import LARGEST_BODY, App  # noqa: E402
from allbps.serve.run import _server  # noqa: E402
from allbps.serve.worker import Worker  # noqa: E402

TOKEN = "a-token-for-tests"
HOST = "127.0.0.1:8000"


class Echo:
    """Stands for the worker where only the door is tested."""

    target = "net.py:net"

    def __init__(self):
        self.asked, self.restarts = [], 0

    def ask(self, asked):
        self.asked.append(asked)
        return {"html": "derived", "files": []}

    def restart(self):
        self.restarts += 1


@pytest.fixture
def echo():
    return Echo()


@pytest.fixture
def client(echo):
    return Client(App(echo, TOKEN, 8000))


def post(client, path="/derive", body=b"{}", **changes):
    headers = {"Host": HOST, "Origin": f"http://{HOST}", "X-Token": TOKEN} | changes
    return client.post(path, data=body, headers={k: v for k, v in headers.items() if v})


def test_a_page_of_this_server_is_answered(client, echo):
    answered = post(client, body=b'{"source": "relu"}')
    assert (answered.status_code, answered.json["html"]) == (200, "derived")
    assert echo.asked == [{"source": "relu"}]


REFUSED = {
    "no token": {"X-Token": ""},
    "a wrong token": {"X-Token": "another"},
    "a token that is not ASCII": {"X-Token": "ÿ"},
    "another origin": {"Origin": "http://evil.example"},
    "the same host under https": {"Origin": f"https://{HOST}"},
    "another port": {"Origin": "http://127.0.0.1:8001"},
    "no origin at all": {"Origin": ""},
    "an opaque origin": {"Origin": "null"},
    "another host": {"Host": "evil.example:8000"},
    "a host that resolves to here": {"Host": "127.0.0.1.nip.io:8000"},
    "a host without the port": {"Host": "127.0.0.1"},
    "what the browser says is another site": {"Sec-Fetch-Site": "cross-site"},
}


@pytest.mark.parametrize("case", REFUSED)
def test_nobody_else_is(client, echo, case):
    for path in ("/derive", "/changed"):
        assert post(client, path, **REFUSED[case]).status_code == 403
    assert echo.asked == []
    assert echo.restarts == 0


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("", {}),
        ("?token=", {}),
        ("?token=another", {}),
        (f"?token={TOKEN}", {"Host": "evil.example"}),
        (f"?token={TOKEN}", {"Origin": "http://evil.example"}),
    ],
)
def test_the_page_itself_needs_token_host_and_origin(client, query, headers):
    assert client.get(f"/{query}", headers={"Host": HOST} | headers).status_code == 403


def test_the_page_may_load_nothing_and_be_framed_by_nobody(client):
    page = client.get(f"/?token={TOKEN}", headers={"Host": HOST})
    policy = page.headers["Content-Security-Policy"]
    assert page.status_code == 200
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "script-src 'sha256-" in policy
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert TOKEN not in page.text
    assert "http://" not in page.text.replace("http://www.w3.org", "")


@pytest.mark.parametrize("path", ["/etc/passwd", "/../../etc/passwd", "/derive/x", "/page.js"])
def test_there_is_nothing_else(client, path):
    assert client.get(f"{path}?token={TOKEN}", headers={"Host": HOST}).status_code == 404


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_not_json_is_refused(client, echo, body):
    assert post(client, body=body).status_code == 400
    assert echo.asked == []


def test_half_a_pair_of_surrogates_is_answered(client, echo):
    """JSON may hold one, UTF-8 may not."""
    echo.ask = lambda asked: {"error": {"what": f"{asked['formula']} cannot stand here"}}
    answered = post(client, body=b'{"formula": "\\ud800"}')
    assert answered.json["error"] == {"what": "? cannot stand here"}


def test_a_request_that_is_too_large_is_refused(client, echo):
    body = json.dumps({"formula": "x" * LARGEST_BODY}).encode()
    assert post(client, body=body).status_code == 413
    assert echo.asked == []


def test_a_changed_file_restarts_the_worker_once(client, echo, tmp_path):
    file = tmp_path / "net.py"
    file.write_text("x = 1")
    echo.ask = lambda asked: {"html": "", "files": [str(file)]}
    before = post(client).json["version"]
    assert post(client, "/changed").json["version"] == before
    file.write_text("x = 10")
    assert post(client, "/changed").json["version"] == before + 1
    assert post(client, "/changed").json["version"] == before + 1
    assert echo.restarts == 1


# -- a real server -------------------------------------------------------------------------------
@contextmanager
def listening(worker, patience=10):
    app = App(worker, TOKEN)
    server = _server(waitress, app, 0, patience)
    app.port = int(server.effective_port)
    done = threading.Event()

    def loop():
        while not done.is_set():
            waitress.wasyncore.loop(timeout=0.1, map=server._map, count=1)
        server.task_dispatcher.shutdown()
        waitress.wasyncore.close_all(server._map)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield app.port
    finally:
        done.set()
        thread.join()


def _connected(port):
    return socket.create_connection(("127.0.0.1", port), timeout=15)


def test_a_client_that_falls_silent_is_cut_off_and_holds_nobody_up(echo):
    with listening(echo, patience=1) as port, ExitStack() as held:
        slow = [held.enter_context(_connected(port)) for _ in range(10)]
        for one in slow:
            one.sendall(b"POST /derive HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n")
        quick = held.enter_context(_connected(port))
        quick.sendall(f"GET /?token={TOKEN} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        assert quick.recv(100).startswith(b"HTTP/1.0 200")
        assert slow[0].recv(100) == b""  # closed by the server
        assert echo.asked == []


def test_it_listens_on_this_machine_alone(echo):
    refused = pytest.raises(OSError, match=r"refused")
    with listening(echo) as port, socket.socket() as outside, refused:
        outside.connect(("127.0.0.2", port))  # as reachable as any other address but its own


def test_a_computation_that_takes_too_long_is_killed_and_the_next_is_answered(tmp_path):
    file = tmp_path / "slow.py"
    file.write_text("def net(x):\n    while x > 0:\n        pass\n    return x\n\nx = 1.0\n")
    worker = Worker(f"{file}:net", limit=1.5)
    try:
        began = time.monotonic()
        error = worker.ask({"source": "file"})["error"]
        assert error["what"] == "this took more than 1.5 s and was stopped"
        assert time.monotonic() - began < 60
        worker.limit = 60
        assert "html" in worker.ask({"source": "formula", "formula": "X W"})
    finally:
        worker.stop()


def test_a_file_that_ends_its_process_ends_only_that(tmp_path):
    file = tmp_path / "ends.py"
    file.write_text("import os\n\ndef net(x):\n    os._exit(3)\n\nx = 1.0\n")
    worker = Worker(f"{file}:net", limit=120)
    try:
        assert "has ended" in worker.ask({"source": "file"})["error"]["what"]
        assert "html" in worker.ask({"source": "formula", "formula": "X W"})
    finally:
        worker.stop()
