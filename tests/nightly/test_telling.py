import json
import socketserver
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from mobileopt.nightly import telling
from mobileopt.nightly.config import Config, Mail, Webhook
from nightly.test_writing import REPORT

QUIET = replace(REPORT, changes=())


@pytest.fixture(autouse=True)
def no_summary(monkeypatch):
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


@pytest.fixture
def hook():
    """A web server that keeps what is posted to it."""
    posted = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.append((self.path, self.headers["Content-Type"], json.loads(body)))
            self.send_response(500 if self.path == "/broken" else 204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", posted
        server.shutdown()


def configured(url="", when="regression", mail=None):
    return Config(webhook=Webhook(url, when), mail=mail or Mail())


def test_a_regression_is_posted_as_json(hook):
    url, posted = hook
    assert telling.tell(REPORT, configured(f"{url}/lab")) == []
    [(path, kind, told)] = posted
    assert (path, kind, told["level"]) == ("/lab", "application/json", "regression")


@pytest.mark.parametrize(("when", "count"), [("regression", 0), ("undecided", 0), ("always", 1)])
def test_a_quiet_night_is_posted_only_where_it_is_wanted(hook, when, count):
    url, posted = hook
    telling.tell(QUIET, configured(url, when))
    assert len(posted) == count


def test_a_hook_that_does_not_take_it_is_told_in_a_sentence(hook):
    url, _ = hook
    [sentence] = telling.tell(REPORT, configured(f"{url}/broken"))
    assert "500" in sentence
    [sentence] = telling.tell(REPORT, configured("http://127.0.0.1:1/"))
    assert "refused" in sentence


@pytest.fixture
def post_office():
    """An SMTP server that keeps the letters it is given."""
    letters = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.say("220 lab")
            for raw in self.rfile:
                word = raw.decode().split()[0].upper()
                if word == "DATA":
                    self.say("354 go on")
                    lines = iter(self.rfile.readline, b".\r\n")
                    letters.append(b"".join(lines).decode())
                self.say("221 bye" if word == "QUIT" else "250 ok")

        def say(self, line):
            self.wfile.write(f"{line}\r\n".encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], letters
        server.shutdown()


def test_a_regression_is_mailed(post_office):
    port, letters = post_office
    mail = Mail(to=("a@example.org", "b@example.org"), sender="lab@example.org",
                host="127.0.0.1", port=port)  # fmt: skip
    assert telling.tell(REPORT, configured(mail=mail)) == []
    [letter] = letters
    assert "Subject: Lab: 1 regression from 1 commit" in letter
    assert "To: a@example.org, b@example.org" in letter
    assert "66666666 Fold less" in letter


def test_a_mail_server_that_is_not_there_is_told_in_a_sentence():
    mail = Mail(to=("a@example.org",), sender="lab@example.org", host="127.0.0.1", port=1)
    [sentence] = telling.tell(REPORT, configured(mail=mail))
    assert "ConnectionRefusedError" in sentence


def test_a_job_of_githubs_gets_the_report_as_its_summary(monkeypatch, tmp_path):
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert telling.tell(QUIET, configured()) == []
    assert summary.read_text().startswith("before\n# Lab: nothing became slower")
