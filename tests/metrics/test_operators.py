from mobileopt.metrics import operators
from mobileopt.trace import Call, Trace


def trace(*calls):
    return Trace(tuple(Call(name, depth) for name, depth in calls))


def test_the_histogram_counts_what_the_model_calls_itself_most_called_first():
    found = operators.histogram(
        trace(("aten::relu", 0), ("aten::conv2d", 0), ("aten::convolution", 1), ("aten::conv2d", 0))
    )
    assert list(found.items()) == [("aten::conv2d", 2), ("aten::relu", 1)]


def test_operators_called_as_often_are_in_the_order_of_their_names():
    assert list(operators.histogram(trace(("aten::b", 0), ("aten::a", 0)))) == [
        "aten::a",
        "aten::b",
    ]


def test_the_total_is_that_of_the_histogram():
    assert operators.total(trace(("aten::a", 0), ("aten::b", 1), ("aten::a", 0))) == 2
