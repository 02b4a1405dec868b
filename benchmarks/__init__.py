"""The airspeed velocity suite: the latency, memory, size and fidelity of every variant."""
