"""Ways to run a model, one file each.

A backend offers ``SUFFIX`` of its file, ``missing() -> str | None`` (what this machine lacks for
it), ``export(module, example_inputs) -> bytes`` and ``load(path) -> callable``. Bytes, because
torch's own writer aborts the whole process when the disk is full.
"""
