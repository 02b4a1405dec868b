"""Building `speed_benchmark_torch` for Android from a PyTorch checkout, and keeping it.

options   what is asked for: ABI, flavours, flags
checkout  a PyTorch source tree: cloned at a tag, or named; read through git
ndk host  what else a build stands on, probed
doctor    findings over all of that, pure
elf       the machine a program is for
cache     the binaries, keyed, each with its manifest
builder   running the script, and the whole way from an order to a cached binary
progress  drawing a build on a terminal or in a log
"""
