import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from mobileopt.errors import ConfigurationError
from mobileopt.nightly import config


def load(tmp_path, text):
    path = tmp_path / "nightly.toml"
    path.write_text(text)
    return config.load(path)


def test_an_empty_file_is_a_configuration_of_defaults(tmp_path):
    found = load(tmp_path, "")
    assert found.confirm == config.Confirm()
    assert found.repository_path == tmp_path.resolve()


def test_what_is_given_replaces_its_default_and_no_other(tmp_path):
    found = load(tmp_path, '[confirm]\nlaunches = 20\n[phones]\nserials = ["R58M", "X1"]\n')
    assert found.confirm == config.Confirm(launches=20)
    assert found.phones.serials == ("R58M", "X1")


def test_the_template_names_every_key_at_its_default_with_its_meaning(tmp_path):
    text = config.template()
    assert load(tmp_path, text) == config.Config(root=tmp_path)
    written = tomllib.loads(text)
    for name, kind in config.SECTIONS.items():
        assert list(written[name]) == [each.name for each in fields(kind)]
        for each in fields(kind):
            assert each.metadata["doc"].split()[0] in text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[confrim]\n", "unknown section 'confrim', did you mean 'confirm'?"),
        ("[confirm]\nlaunch = 3\n", "unknown key in [confirm] 'launch', did you mean 'launches'?"),
        ("confirm = 3\n", "confirm is 3; it is a section, written as [confirm]"),
        ("[confirm]\nlaunches = 'many'\n", "confirm.launches is 'many'; it is a whole number"),
        ("[confirm]\nlaunches = true\n", "confirm.launches is True; it is a whole number"),
        ("[confirm]\nlaunches = 1\n", "confirm.launches is 1; it is at least 4"),
        ("[schedule]\nreserve = 1.5\n", "schedule.reserve is 1.5; it is from 0 to 0.9"),
        ("[host]\nenabled = 1\n", "host.enabled is 1; it is true or false"),
        ("[phones]\nrounds = 0\n", "phones.rounds is 0; it is at least 1"),
        ("[phones]\nseconds = 0.5\n", "phones.seconds is 0.5; it is at least 1"),
        ("[phones]\nserials = 'X'\n", "phones.serials is 'X'; it is a list of texts"),
        ("[schedule]\nuntil = '25:00'\n", "until is '25:00'; it is a time of day such as 06:30"),
        ("[mail]\nto = ['a@b']\n", "mail.to is given and mail.sender is not"),
        ("[mail]\nsecurity = 'tsl'\n", "unknown value of mail.security 'tsl', did you mean 'tls'"),
        ("[webhook]\nurl = 'file:///etc/passwd'\n", "it is an http(s) address"),
        ("[webhook]\nwhen = 'regresion'\n", "did you mean 'regression'?"),
        ("[fleet]\nscheduler = 'lab:8786'\n", "it is tcp://host:port or tls://host:port"),
        ("[fleet]\nscheduler = 'tls://lab:8786'\n", "fleet.ca is missing; tls:// needs all three"),
        ("[host]\nbenchmarks = '('\n", "host.benchmarks is '(', no regular expression"),
        ("[host\n", "cannot be read as TOML"),
        ("[host]\nbenchmarks = 'quik'\n", "'quik', did you mean 'quick'?"),
        ("[webhook]\nurl = 'http://lab:port/'\n", "it is an http(s) address"),
        ("[webhook]\nurl = 'http://lab:/'\n", "it is an http(s) address"),
        ("[webhook]\nurl = 'http://lab/a b'\n", "it is an http(s) address"),
        ("[webhook]\nurl = 'https://:80/'\n", "it is an http(s) address"),
        ("[mail]\nuser = 'me'\n", "would send the password in clear"),
        ("[phones]\nserials = ['a b']\n", "phones.serials has 'a b', which is no serial"),
        ("[phones]\nserials = ['X', 'X']\n", "phones.serials has 'X' twice"),
        (
            "[phones]\nvariants = ['mlp']\n",
            "phones.variants has 'mlp': variant 'mlp' lacks the '/'",
        ),
        (
            "[phones]\nvariants = ['mobilnet_v2/fused-float-nchw-mobile']\n",
            "did you mean 'mobilenet_v2'?",
        ),
        ("[phones]\nvariants = ['mlp/fused-float-nchw-mobil']\n", "did you mean 'mobile'?"),
        (
            "[phones]\nprograms = ['nightly.tml']\n",
            "which is no file, did you mean 'nightly.toml'?",
        ),
        ("[phones]\nprograms = ['speed=nightly.toml']\n", "unknown value of a runner in"),
        (
            "[fleet]\nscheduler = 'tls://lab:8786'\nca = 'nightly.tml'\n",
            "which is no file, did you mean 'nightly.toml'?",
        ),
        ("[confirm]\nlaunches = 4\nrounds = 1\n", "launches times confirm.rounds is 4; to decide"),
    ],
)
def test_whatever_is_wrong_is_one_sentence_with_the_file_and_exit_code_3(tmp_path, text, sentence):
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    assert sentence in str(caught.value)
    assert str(tmp_path / "nightly.toml") in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_missing_file_says_how_to_make_one():
    with pytest.raises(ConfigurationError, match="--init"):
        config.load(Path("nowhere/nightly.toml"))


def test_a_password_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("NIGHTLY_SMTP_PASSWORD", "geheim")
    assert config.secret("NIGHTLY_SMTP_PASSWORD") == "geheim"
    assert config.secret("") == ""


def test_certificates_lie_beside_the_file_and_not_where_the_night_works(tmp_path):
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).touch()
    found = load(
        tmp_path,
        "[fleet]\nscheduler = 'tls://lab:8786'\n"
        "ca = 'ca.pem'\ncertificate = 'cert.pem'\nprivate_key = 'key.pem'\n",
    )
    assert found.fleet.ca == str(tmp_path / "ca.pem")


def test_a_program_may_be_named_with_its_runner(tmp_path):
    (tmp_path / "built=here").touch()
    for program in ("speed_benchmark_torch=built=here", "./built=here"):
        assert load(tmp_path, f"[phones]\nprograms = ['{program}']\n").phones.programs == (program,)
