"""`python -m tools.build` and its doctor: what is refused before anything is built."""

from __future__ import annotations

from tools.build import main

from .building import checks, document, needs_tools, order
from .upstream import NATIVE, git, make_ndk, runs

pytestmark = needs_tools


def test_the_doctor_refuses_before_a_download(upstream, cache, capsys):
    args = ["--tag", "v2.8.0", "--repository", upstream.as_uri(), "--cache", str(cache)]
    assert main(args) == 2
    assert "no Android NDK is named" in capsys.readouterr().err
    assert not cache.exists()


def test_the_doctor_alone_writes_nothing(checkout, ndk, cache, capsys):
    assert main(order(checkout, ndk, cache, "--doctor", "--json")) == 0
    assert document(capsys)["ok"]
    assert not cache.exists()
    assert runs(checkout) == 0


def test_a_newer_checkout_lacks_the_script_and_the_finding_names_the_last_tag_that_has_it(
    checkout, ndk, cache, capsys
):
    git(checkout, "checkout", "--quiet", "v2.9.0")
    assert main(order(checkout, ndk, cache, "--json")) == 2
    shown = document(capsys)
    assert ("script", "error") in checks(shown)
    (finding,) = [each for each in shown["findings"] if each["check"] == "script"]
    assert "the last tag here that has it is v2.8.0" in finding["says"]
    assert "git checkout v2.8.0" in finding["fix"]


def test_an_old_clang_is_found_by_compiling_with_it(checkout, cache, tmp_path, capsys):
    ndk = make_ndk(tmp_path / "old", rejects="i8mm bf16")
    args = order(checkout, ndk, cache, "--doctor", "--json")
    args[args.index(NATIVE)] = "arm64-v8a"
    assert main(args) == 2
    (finding,) = [each for each in document(capsys)["findings"] if each["check"] == "ndk-march"]
    assert "does not support '-march=armv8.2-a+i8mm'" in finding["says"]
    assert "XNNPACK_ENABLE_ARM_I8MM=OFF" in finding["fix"]
    assert main([*args, "--define", "XNNPACK_ENABLE_ARM_I8MM=OFF"]) == 0


def test_an_error_can_be_overruled_by_name(checkout, cache, tmp_path, capsys):
    ndk = make_ndk(tmp_path / "new", "25.2.9519653")
    assert main(order(checkout, ndk, cache, "--vulkan")) == 2
    assert "vulkan_wrapper.h" in capsys.readouterr().err
    assert main(order(checkout, ndk, cache, "--vulkan", "--ignore", "ndk-vulkan")) == 0
    assert "USE_VULKAN=1" in (checkout / "environment-full").read_text().splitlines()
