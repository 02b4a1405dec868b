"""`nightly.toml`: every key with its default, its meaning, and what may be given for it.

The dataclasses below are the documentation: `template()` writes them out as a file.
"""

from __future__ import annotations

import os
import textwrap
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast

from mobileopt.errors import ConfigurationError, UnknownNameError
from mobileopt.nightly import checking
from mobileopt.nightly.budget import parse_until

NAME = "nightly.toml"


def key(default: Any, doc: str, *, least: float | None = None, most: float | None = None) -> Any:
    """A key of the file: its default, one or two sentences, and the bounds of a number."""
    return field(default=default, metadata={"doc": doc, "least": least, "most": most})


@dataclass(frozen=True)
class Repository:
    """The checkout whose commits are measured."""

    path: str = key(".", "The clone, with its asv.conf.json; relative to this file.")
    remote: str = key("origin", 'Fetched before anything else; "" fetches nothing.')
    branch: str = key("HEAD", "What to measure, as git names it: origin/main, HEAD.")


@dataclass(frozen=True)
class Schedule:
    """How much of the history a night measures, and until when."""

    newest: int = key(20, "Commits back from the tip that get measured, newest first.", least=1)
    backfill: int = key(6, "Older commits a night, between results that differ.", least=0)
    attempts: int = key(2, "Tries for a commit that gives no results at all.", least=1)
    forget_after_days: float = key(14.0, "Days until such a commit is tried again.", least=0)
    until: str = key("", 'Time of day to be done by, as 06:30; "" for no end.')
    reserve: float = key(
        0.4, "Share of the time kept for making sure and publishing.", least=0, most=0.9
    )


@dataclass(frozen=True)
class Host:
    """Benchmarks on this computer."""

    enabled: bool = key(True, "Whether to run them.")
    benchmarks: str = key(
        "quick", '"quick" as `make bench`, "all", or a regular expression of asv\'s --bench.'
    )


@dataclass(frozen=True)
class Phones:
    """Benchmarks on the phones of an adb server."""

    enabled: bool = key(False, "Whether to run them.")
    serials: tuple[str, ...] = key((), "Hardware serials (ro.serialno); none means all found.")
    adb_host: str = key("", "Where the adb server runs; empty is this computer.")
    adb_port: int = key(0, "Its port; 0 is 5037 or ANDROID_ADB_SERVER_PORT.", least=0, most=65535)
    connect: tuple[str, ...] = key((), "Network phones to connect first, as 192.168.1.20:5555.")
    programs: tuple[str, ...] = key(
        (), "Programs that run artifacts on the phone: [RUNNER=]FILE, relative to this file."
    )
    variants: tuple[str, ...] = key((), "As mobilenet_v2/fused-float-nhwc-mobile; none is quick.")
    rounds: int = key(24, "Launches of each variant in a model's session, at most.", least=1)
    seconds: float = key(900.0, "Seconds such a session may take, at most.", least=1)
    strikes: int = key(3, "Failures in a row after which a phone is left alone.", least=1)
    release_after_hours: float = key(72.0, "Hours until it is tried again.", least=0)


@dataclass(frozen=True)
class Detection:
    """When a history is worth a second look. Nobody is told before that look."""

    min_effect: float = key(0.03, "Least relative change worth anything.", least=0.001, most=1)
    sensitivity: float = key(
        3.0, "Standard errors from which a change is suspected; lower suspects more.", least=1
    )
    false_discovery_rate: float = key(
        0.05, "Share of false change points in the histories' own analysis.", least=0.001, most=0.5
    )


@dataclass(frozen=True)
class Confirm:
    """The interleaved session of both commits that decides."""

    threshold: float = key(
        0.03, "Least relative slowdown that is a regression.", least=0.001, most=1
    )
    launches: int = key(
        12, "Times every process is started afresh; times rounds, enough for `most`.", least=4
    )
    rounds: int = key(2, "Rounds in each launch.", least=1)
    samples: int = key(5, "Forward passes a round.", least=1)
    most: int = key(
        12, "Suspicions looked into a night, the strongest first; what they explain is extra.",
        least=1,
    )  # fmt: skip
    retries: int = key(
        3, "Nights in which an undecided suspicion is looked at again, before it is given up.",
        least=0,
    )  # fmt: skip


@dataclass(frozen=True)
class Site:
    """The site, built beside the old one and put in its place when it is whole."""

    publish: bool = key(True, "Whether to publish.")
    html: str = key("", "Its folder; empty is the html_dir of asv.conf.json.")
    url: str = key("", "Where it is served from, for links in the report.")


@dataclass(frozen=True)
class Report:
    """The report of the night: report.md, report.json and an Atom feed."""

    folder: str = key("nightly", "Where they are written; relative to this file.")
    url: str = key("", "Where that folder is served from, for links in the feed.")
    title: str = key("mobileopt nightly", "Heading of the report and of the feed.")


@dataclass(frozen=True)
class Webhook:
    """Where the report is posted as JSON."""

    url: str = key("", "https://...; empty posts nothing.")
    when: str = key("regression", '"regression", "undecided" (or worse) or "always".')


@dataclass(frozen=True)
class Mail:
    """Whom the report is sent to."""

    to: tuple[str, ...] = key((), "Addresses; none sends nothing.")
    sender: str = key("", "Address it comes from.")
    host: str = key("localhost", "SMTP server.")
    port: int = key(25, "Its port.", least=1, most=65535)
    security: str = key("none", '"none", "starttls" or "tls".')
    user: str = key("", "Name to log in with; empty does not log in.")
    password_env: str = key("NIGHTLY_SMTP_PASSWORD", "Environment variable with the password.")
    when: str = key("regression", '"regression", "undecided" (or worse) or "always".')


@dataclass(frozen=True)
class Fleet:
    """A Dask scheduler that spreads the jobs over the hosts of a lab."""

    scheduler: str = key("", "tcp://host:8786 or tls://host:8786; empty runs all here.")
    ca: str = key("", "Certificate of the authority that signed all others (PEM file).")
    certificate: str = key("", "This side's certificate (PEM).")
    private_key: str = key("", "Its private key (PEM).")


@dataclass(frozen=True)
class Config:
    """All of `nightly.toml`; `root` is the folder it lies in, which its paths are relative to."""

    repository: Repository = field(default_factory=Repository)
    schedule: Schedule = field(default_factory=Schedule)
    host: Host = field(default_factory=Host)
    phones: Phones = field(default_factory=Phones)
    detection: Detection = field(default_factory=Detection)
    confirm: Confirm = field(default_factory=Confirm)
    site: Site = field(default_factory=Site)
    report: Report = field(default_factory=Report)
    webhook: Webhook = field(default_factory=Webhook)
    mail: Mail = field(default_factory=Mail)
    fleet: Fleet = field(default_factory=Fleet)
    root: Path = Path()

    @property
    def repository_path(self) -> Path:
        """The clone."""
        return (self.root / self.repository.path).resolve()

    @property
    def report_folder(self) -> Path:
        """Where reports are written."""
        return (self.root / self.report.folder).resolve()


SECTIONS = {each.name: cast(type, each.default_factory) for each in fields(Config)[:-1]}


def load(path: Path) -> Config:
    """Read and check a configuration.

    Raises ConfigurationError for a file that is missing or no TOML, a section or key that does
    not exist, naming the nearest, and a value of the wrong type or outside of its bounds.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        hint = f"write one with: python -m tools.nightly --init {path}"
        raise ConfigurationError(f"{path} does not exist; {hint}") from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read as TOML: {error}") from error
    try:
        parts = {name: _section(name, value) for name, value in found.items()}
        config = _rooted(Config(**parts, root=path.absolute().parent))
        check(config)
    except (UnknownNameError, ConfigurationError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return config


def template() -> str:
    """A file with every key at its default, each with its meaning."""
    lines = ["# What a nightly does. Every key is optional; these are the defaults.", ""]
    for name, kind in SECTIONS.items():
        lines += [*_comment(str(kind.__doc__)), f"[{name}]"]
        for each in fields(kind):
            lines += [*_comment(each.metadata["doc"]), f"{each.name} = {_toml(each.default)}"]
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, 96, initial_indent="# ", subsequent_indent="# ")


def _section(name: str, value: Any) -> Any:
    if name not in SECTIONS:
        raise UnknownNameError("section", name, SECTIONS)
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{name} is {value!r}; it is a section, written as [{name}]")
    kind, given = SECTIONS[name], cast(Mapping[str, Any], value)
    known = {each.name: each for each in fields(kind)}
    for each in given:
        if each not in known:
            raise UnknownNameError(f"key in [{name}]", each, known)
    return kind(**{each: _value(f"{name}.{each}", known[each], given[each]) for each in given})


def _value(where: str, declared: Any, given: Any) -> Any:
    default, bounds = declared.default, declared.metadata
    if isinstance(default, tuple):
        if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
            raise ConfigurationError(f"{where} is {given!r}; it is a list of texts")
        return tuple(cast(list[str], given))
    wanted = (int, float) if isinstance(default, float) else (type(default),)
    if not isinstance(given, wanted) or isinstance(given, bool) != isinstance(default, bool):
        kind = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}
        raise ConfigurationError(f"{where} is {given!r}; it is {kind[type(default)]}")
    least, most = bounds["least"], bounds["most"]
    if (least is not None and given < least) or (most is not None and given > most):
        span = f"at least {least}" if most is None else f"from {least} to {most}"
        raise ConfigurationError(f"{where} is {given!r}; it is {span}")
    return float(given) if isinstance(default, float) else given


def _rooted(config: Config) -> Config:
    names = ("ca", "certificate", "private_key")
    given = {name: getattr(config.fleet, name) for name in names}
    paths = {name: str(config.root / path) for name, path in given.items() if path}
    return replace(config, fleet=replace(config.fleet, **paths))


def check(config: Config) -> None:
    """What no single value shows; raises ConfigurationError or UnknownNameError."""
    parse_until(config.schedule.until)
    checking.check_telling(config.webhook, config.mail)
    checking.check_fleet(config.fleet)
    checking.check_benchmarks(config.host.benchmarks)
    checking.check_phones(config.phones, config.root)
    checking.check_confirm(config.confirm)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(each) for each in cast(tuple[Any, ...], value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def secret(variable: str) -> str:
    """The text of an environment variable; empty when it is not set."""
    return os.environ.get(variable, "") if variable else ""
