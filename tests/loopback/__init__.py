"""Phones on loopback: a real adb server with two kinds of phone behind it.

`adbd.py` speaks adb's protocol itself and can go wrong at an exact byte; `sandbox.py` runs a
real adbd, with the shell and the tools phones have, in a bubblewrap root. Both run real
commands and real programs; only the hardware's answers (properties, sysfs, dumpsys) are files.
"""
