"""The subcommands of `mobileopt`: one file each, `add(parser)` and `run(arguments) -> int`."""
