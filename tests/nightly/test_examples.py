"""Every file under docs/examples is checked by what reads it in earnest."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mobileopt.nightly import config
from tools import nightly, worker

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
UNITS = sorted(path.name for path in EXAMPLES.iterdir() if path.suffix in (".service", ".timer"))
ELSEWHERE = {"asv.torch-versions.conf.json"}  # by tests/test_suite.py
CHECKED = {"nightly.toml", "crontab", "github-nightly.yml", "Containerfile", *UNITS}


def command(name):
    """A program of this environment or of the system; without it CI fails, and others skip."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None and os.environ.get("CI"):
        pytest.fail(f"{name} is not installed, and this is CI")
    return found or pytest.skip(f"{name} is not installed")


def run(*arguments):
    return subprocess.run(arguments, capture_output=True, text=True, check=False)


def parsed(words):
    """The arguments of a `python -m tools.X ...` inside of an example, as the tool reads them."""
    tools = {"tools.nightly": nightly, "tools.worker": worker}
    at = words.index("-m")
    return tools[words[at + 1]]._parser().parse_args(words[at + 2 :])


def test_every_example_is_checked_here():
    assert {path.name for path in EXAMPLES.iterdir()} - ELSEWHERE == CHECKED


def test_the_configuration_is_the_template_and_is_valid():
    text = (EXAMPLES / "nightly.toml").read_text()
    assert text == config.template()
    assert config.load(EXAMPLES / "nightly.toml").fleet.scheduler == ""


def test_the_crontab_has_one_line_that_cron_and_the_command_read():
    lines = (EXAMPLES / "crontab").read_text().splitlines()
    jobs = [line for line in lines if line and not re.match(r"#|\w+=", line)]
    [job] = jobs
    minute, hour, *rest = job.split(maxsplit=5)
    assert (int(minute), int(hour), rest[:3]) == (0, 22, ["*", "*", "*"])
    script = rest[3]
    assert "%" not in script  # cron takes it for a newline
    assert run("sh", "-n", "-c", script).returncode == 0
    words = shlex.split(script.partition("&&")[2].partition("2>>")[0])
    assert parsed(words).until == "06:30"


@pytest.mark.parametrize("name", UNITS)
def test_systemd_takes_the_unit(name, tmp_path):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for each in UNITS:
        text = (EXAMPLES / each).read_text()
        text = re.sub(r"/srv/mobileopt/\.venv/bin/\w+", str(program), text)
        (tmp_path / each).write_text(text.replace("/srv/mobileopt", str(tmp_path)))
    done = run(command("systemd-analyze"), "verify", "--man=no", str(tmp_path / name))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", [each for each in UNITS if "scheduler" not in each])
def test_a_units_command_line_is_one_the_command_takes(name):
    text = (EXAMPLES / name).read_text()
    for line in re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE):
        parsed(shlex.split(line))


def test_the_schedulers_command_line_is_one_dask_takes():
    pytest.importorskip("distributed")
    text = (EXAMPLES / "mobileopt-scheduler.service").read_text().replace("\\\n", " ")
    [line] = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    from distributed.cli import dask_scheduler

    options = shlex.split(line)[2:]
    with pytest.raises(Exception, match=r"does not exist|not a file") as refused:
        # Everything is understood but the certificates, which are not here.
        dask_scheduler.main.main(options, standalone_mode=False)
    assert "tls" in str(refused.value)


def test_github_takes_the_workflow():
    checker = command("check-jsonschema")
    workflow = EXAMPLES / "github-nightly.yml"
    schema = ("--builtin-schema", "vendor.github-workflows")
    done = run(checker, *schema, str(workflow))
    assert done.returncode == 0, done.stdout
    # The schema knows no expressions, no contexts and no action's inputs.
    done = run(command("actionlint"), "-no-color", str(workflow))
    assert done.returncode == 0, done.stdout


def test_a_workflow_that_only_the_schema_would_take_is_found(tmp_path):
    text = (EXAMPLES / "github-nightly.yml").read_text()
    broken = tmp_path / "broken.yml"
    broken.write_text(text.replace("secrets.NIGHTLY", "secret.NIGHTLY"))
    done = run(command("actionlint"), "-no-color", str(broken))
    assert done.returncode == 1
    assert 'undefined variable "secret"' in done.stdout


def test_the_workflows_scripts_are_shell_and_their_command_is_taken():
    yaml = pytest.importorskip("yaml")
    workflow = yaml.safe_load((EXAMPLES / "github-nightly.yml").read_text())
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    scripts = [step["run"] for step in steps if "run" in step]
    assert len(scripts) == 1
    assert run("sh", "-n", "-c", scripts[0]).returncode == 0
    line = next(line for line in scripts[0].splitlines() if "tools.nightly" in line)
    assert parsed(shlex.split(line)).until == "06:30"
    secrets = re.findall(r"secrets\.(\w+)", (EXAMPLES / "github-nightly.yml").read_text())
    assert secrets == [config.Mail().password_env]


def test_the_container_file_passes_its_linter():
    done = run(command("hadolint"), "--format", "json", str(EXAMPLES / "Containerfile"))
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout) == []


def test_the_container_starts_the_nightly_and_installs_an_extra_there_is():
    text = (EXAMPLES / "Containerfile").read_text()
    entry = json.loads(re.findall(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)[0])
    assert parsed(entry).config.name == config.NAME
    extras = re.findall(r"\[(\w+)\]\"", text)
    assert extras == ["fleet"]


def test_what_a_container_has_to_remember_lies_in_the_volume_its_first_lines_mount():
    text = (EXAMPLES / "Containerfile").read_text()
    [home] = re.findall(r"^ENV HOME=(.*)$", text, re.MULTILINE)
    assert re.findall(r"^VOLUME (.*)$", text, re.MULTILINE) == [home]
    line = re.search(r"^#   podman run (.*\\\n#.*)$", text, re.MULTILINE)[1].replace("\\\n#", "")
    mounts = dict(re.findall(r"-v (\S+):(\S+)", line))
    assert mounts == {'"$PWD"': "/srv/mobileopt", "mobileopt-home": home}
    assert parsed(["-m", "tools.nightly", *line.split("mobileopt-nightly")[1].split()]).until
