"""Programs that run an artifact, one file each: `command()` gives argv, `parse()` a Measurement."""
