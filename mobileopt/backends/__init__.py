"""Ways to run a model: one file each, with `export`, `load` and `missing`."""
