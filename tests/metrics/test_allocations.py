from mobileopt.metrics import allocations
from mobileopt.trace import Call, Trace


def test_requests_are_counted_and_their_bytes_added():
    trace = Trace((Call("aten::add", 0),), (64, 64, 128))
    assert allocations.count(trace) == 3
    assert allocations.total_bytes(trace) == 256
