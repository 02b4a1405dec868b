"""An adb server, local or remote, and what is connected to it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import partial

from mobileopt.adb.client import Client
from mobileopt.adb.phone import Phone, Transport
from mobileopt.errors import AccessError, ConnectionLostError, InputError

_ADDRESS = re.compile(r"[A-Za-z0-9.-]{1,253}:[0-9]{1,5}|\[[0-9A-Fa-f:.%]+\]:[0-9]{1,5}")
_HOST = re.compile(r"[A-Za-z0-9.:-]{1,253}")
SECONDS = 15.0


@dataclass(frozen=True)
class Server:
    """Where adb's server listens; a local one is started when it does not run.

    Without arguments it is the one `adb` itself would use: ANDROID_ADB_SERVER_HOST (adbutils'
    name) and ANDROID_ADB_SERVER_PORT, else 127.0.0.1:5037. Raises InputError for a host or a
    port that cannot be one.
    """

    host: str = ""
    port: int = 0

    def __post_init__(self) -> None:
        host = self.host or os.environ.get("ANDROID_ADB_SERVER_HOST", "127.0.0.1")
        port = self.port or os.environ.get("ANDROID_ADB_SERVER_PORT", "5037")
        if not _HOST.fullmatch(host):
            raise InputError(f"{host!r} is not the name or address of a host")
        if not (str(port).isdecimal() and 0 < int(port) < 65536):
            raise InputError(f"adb's port {port!r} is not a number from 1 to 65535")
        object.__setattr__(self, "host", host)
        object.__setattr__(self, "port", int(port))

    @classmethod
    def at(cls, text: str) -> Server:
        """The server at HOST:PORT, or the usual one for no text; raises InputError."""
        host, colon, port = text.rpartition(":")
        if text and not (colon and port.isdecimal()):
            raise InputError(f"--server {text[:80]!r} is not HOST:PORT, as lab-3:5037")
        return cls(host, int(port[:9] or 0)) if text else cls()

    def transports(self) -> tuple[Transport, ...]:
        """What is connected, in any state: `device`, `offline`, `unauthorized`, ...

        Raises ServerError when no server answers, DeadlineError when it falls silent.
        """
        client = self.client()
        listed = client.within(SECONDS, str(self), "listing", partial(client.list, extended=True))
        return tuple(Transport(info.serial, info.state, info.transport_id) for info in listed)

    def phones(self) -> tuple[Phone, ...]:
        """One phone a transport; two may turn out to be the same hardware."""
        return tuple(Phone(self.client(), each) for each in self.transports())

    def connect(self, address: str, seconds: float = SECONDS) -> Phone:
        """Connect to a phone over the network, at `host:port`.

        Raises InputError for anything but an address, ConnectionLostError when nobody answers
        there, AccessError when the phone wants to be asked first.
        """
        if not _ADDRESS.fullmatch(address):
            raise InputError(f"{address!r} is not an address like 192.168.1.20:5555")
        client = self.client()
        # A stale transport of this address would be reported as "already connected".
        client.within(seconds, address, "disconnecting", partial(client.disconnect, address))
        said = client.within(seconds, address, "connecting", lambda: client.connect(address))
        if "connected to" not in said or "cannot" in said or "unable" in said:
            if "authenticate" in said:
                raise AccessError(f"{address} has not authorized this computer; accept it there")
            raise ConnectionLostError(f"nobody can be reached at {address}: {said.strip()!r}")
        for transport in self.transports():
            if transport.serial == address:
                return Phone(client, transport)
        raise ConnectionLostError(f"{address} connected and went away")

    def client(self) -> Client:
        """A client of its own: each thread needs one."""
        return Client(self.host, self.port)

    def __str__(self) -> str:
        return f"the adb server at {self.host}:{self.port}"
