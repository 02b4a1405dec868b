"""Numbers other than latency, one file each."""
