import pytest

from mobileopt.torch_warnings import KNOWN


def pytest_configure(config: pytest.Config) -> None:
    for message, category in KNOWN:
        config.addinivalue_line("filterwarnings", f"ignore:{message}:{category.__name__}")
