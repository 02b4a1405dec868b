"""Ways to run a model, one file each.

A backend offers ``SUFFIX`` of its file, ``missing() -> str | None`` (what this machine lacks for
it), ``export(module, example_inputs, path)`` and ``load(path) -> callable``.
"""
