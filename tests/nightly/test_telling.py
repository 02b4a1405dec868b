import contextlib
import json
import socketserver
import ssl
import subprocess
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


def test_a_hook_that_speaks_no_http_is_told_in_a_sentence():
    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            body = b""
            while not body.endswith(b"}\n"):
                body += self.request.recv(1000)
            self.request.sendall(b"220 this is no web server\r\n")

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        [sentence] = telling.tell(REPORT, configured(url))
        server.shutdown()
    assert "BadStatusLine" in sentence


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_mail_server_whose_certificate_nobody_signed_gets_no_mail(security, signed_by_nobody):
    port, spoken = signed_by_nobody(security)
    mail = Mail(to=("a@example.org",), sender="lab@example.org", host="127.0.0.1", port=port,
                security=security, user="lab")  # fmt: skip
    [sentence] = telling.tell(REPORT, configured(mail=mail))
    assert "CERTIFICATE_VERIFY_FAILED" in sentence
    assert not any("AUTH" in each or "MAIL" in each for each in spoken)


@pytest.fixture
def signed_by_nobody(tmp_path):
    """SMTP over TLS with a certificate of its own making."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key),
         "-out", str(certificate), "-days", "1", "-subj", "/CN=127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    servers = []

    def serve(security):
        spoken = []

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                with contextlib.suppress(OSError):
                    self.talk(security == "tls")

            def talk(self, wrapped):
                link = (
                    context.wrap_socket(self.request, server_side=True) if wrapped else self.request
                )
                link.sendall(b"220 lab\r\n")
                while line := link.recv(200).decode():
                    spoken.append(line.upper())
                    link.sendall(
                        b"250-lab\r\n250 STARTTLS\r\n" if "EHLO" in spoken[-1] else b"220 ok\r\n"
                    )
                    if "STARTTLS" in spoken[-1]:
                        link = context.wrap_socket(link, server_side=True)

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server.server_address[1], spoken

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


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
