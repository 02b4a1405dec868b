"""Tells people: a job summary of GitHub's, a webhook, mail."""

from __future__ import annotations

import os
import smtplib
import ssl
import urllib.request
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

from mobileopt.nightly.config import Config, Mail, secret
from mobileopt.nightly.report import Level, Report
from mobileopt.nightly.writing import as_json, markdown, text

_SECONDS = 30.0
_WORSE_OR_SAME: dict[str, tuple[Level, ...]] = {
    "regression": ("regression",),
    "undecided": ("regression", "undecided"),
    "always": ("regression", "undecided", "nothing"),
}


def tell(report: Report, config: Config) -> list[str]:
    """Tell everybody the configuration names; a sentence for each who could not be reached."""
    ways: list[Callable[[], None]] = [lambda: _summary(report)]
    if config.webhook.url and report.level in _WORSE_OR_SAME[config.webhook.when]:
        ways.append(lambda: _post(config.webhook.url, report))
    if config.mail.to and report.level in _WORSE_OR_SAME[config.mail.when]:
        ways.append(lambda: _send(config.mail, report))
    failures: list[str] = []
    for way in ways:
        try:
            way()
        except Exception as error:
            failures.append(f"somebody was not told: {type(error).__name__}: {error}")
    return failures


def _summary(report: Report) -> None:
    # Where GitHub's runners read a job's summary from; every step appends.
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(markdown(report))


def _post(url: str, report: Report) -> None:
    request = urllib.request.Request(  # noqa: S310 - the configuration takes http(s) only
        url,
        as_json(report).encode(),
        {"Content-Type": "application/json", "User-Agent": "mobileopt-nightly"},
    )
    with urllib.request.urlopen(request, timeout=_SECONDS):  # noqa: S310
        pass


def _send(mail: Mail, report: Report) -> None:
    message = EmailMessage()
    message["Subject"] = f"{report.title}: {report.headline}"
    message["From"], message["To"] = mail.sender, ", ".join(mail.to)
    message.set_content(text(report))
    with _server(mail) as server:
        if mail.user:
            server.login(mail.user, secret(mail.password_env))
        server.send_message(message)


def _server(mail: Mail) -> smtplib.SMTP:
    # smtplib checks no certificate unless it is given a context that does.
    verified = ssl.create_default_context()
    if mail.security == "tls":
        return smtplib.SMTP_SSL(mail.host, mail.port, timeout=_SECONDS, context=verified)
    server = smtplib.SMTP(mail.host, mail.port, timeout=_SECONDS)
    if mail.security == "starttls":
        server.starttls(context=verified)
    return server
