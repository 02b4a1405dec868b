"""Commands of a benchmarking lab, each a thin `python -m tools.<name>`."""
