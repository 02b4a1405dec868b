"""The measured networks: one file each, named as the model, with `build` and `example_inputs`."""
