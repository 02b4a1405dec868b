from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mobileopt.device import Device


def test_a_name_is_one_a_machine_and_does_not_show_the_serial():
    first, second = (Device(serial=s, model="Pixel 8 Pro") for s in ("A", "B"))
    assert first.name.startswith("pixel_8_pro-")
    assert first.name != second.name
    assert first.name == Device(serial="A", model="Pixel 8 Pro", android="15").name


@settings(deadline=None)
@given(serial=st.text(), model=st.text())
def test_a_name_is_always_fit_for_a_folder_and_a_page(serial, model):
    name = Device(serial=serial.encode("utf-8", "replace").decode(), model=model).name
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")
    assert 9 < len(name) < 50
