"""Phones over adb: typed results, deadlines, and a named error for every fault.

    server = Server()                       # local, or Server(host=..., port=...)
    for phone in server.phones():           # one a transport, whatever its state
        print(phone.shell(["uname", "-m"]).stdout)

`files` pushes and pulls; `probe` reads what a phone is and how it is; `fleet` finds the usable
ones; `performance` holds a clock steady. Nothing outside this package imports adbutils.
"""

from mobileopt.adb.phone import WORK, Phone, Result, again
from mobileopt.adb.server import Server, Transport

__all__ = ["WORK", "Phone", "Result", "Server", "Transport", "again"]
