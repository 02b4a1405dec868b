"""Rewrites of a model: one file each, `apply(module, example_inputs) -> Result`."""
