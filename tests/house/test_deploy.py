"""The files of deploy/: what they start is installed, what they set is known, and each can be read by its reader."""

from __future__ import annotations

import plistlib
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from enhanced_memory.cli.main import program
from enhanced_memory.cli.session import Session
from enhanced_memory.service.main import command as daemon
from enhanced_memory.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").rglob("*.*"))
SERVICES = [path for path in UNITS if path.suffix == ".service"]
DAEMONS = [path for path in SERVICES if path.name.startswith("memory-db")]
PROGRAMS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
VARIABLES = {spec.metadata["variable"] for spec in Settings.__dataclass_fields__.values()}
EVERY_UNIT = ("memory-db.service", "memory-db.socket", "memory-backup.service", "memory-backup.timer")
SECTIONS = {
    ".service": {"Unit", "Service", "Install"},
    ".socket": {"Unit", "Socket", "Install"},
    ".timer": {"Unit", "Timer", "Install"},
}
by_name = pytest.mark.parametrize("path", UNITS, ids=lambda path: f"{path.parent.name}/{path.name}")
of_services = pytest.mark.parametrize("path", SERVICES, ids=lambda path: f"{path.parent.name}/{path.name}")
of_daemons = pytest.mark.parametrize("path", DAEMONS, ids=lambda path: f"{path.parent.name}/{path.name}")


def lines(path: Path) -> Iterator[tuple[str, str, str]]:
    """Section, key and value of each line of a unit, as systemd reads it; keys may come again."""
    section = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line or line[0] in "#;":
            continue
        header = re.fullmatch(r"\[(\w+)\]", line)
        if header is not None:
            section = header[1]
        else:
            key, equals, value = line.partition("=")
            assert (key.isalnum(), equals) == (True, "="), f"{path.name}: {line!r} is no setting"
            yield section, key, value


def values(path: Path, key: str) -> list[str]:
    """Every value that a unit gives a key."""
    return [value for _, name, value in lines(path) if name == key]


def check_command(words: list[str]) -> None:
    """Fail unless the words call one of our programs, with flags and sub-commands that it has."""
    name, arguments = Path(words[0]).name, words[1:]
    assert name in PROGRAMS, f"{name} is no program of ours"
    command: click.Command = {"memory-db-service": daemon, "enhanced-memory": program}[name]
    if isinstance(command, click.Group):
        flags = {flag for parameter in command.params for flag in parameter.opts}
        while arguments[0] in flags:
            arguments = arguments[1:]
        found = command.get_command(click.Context(command), arguments[0])
        assert found is not None, f"there is no command {arguments[0]}"
        command, arguments = found, arguments[1:]
    command.make_context(name, arguments, obj=Session())


def test_there_is_a_service_a_socket_and_a_timer_for_a_user_and_for_the_system() -> None:
    for folder, at in (("user", ""), ("system", "@")):
        names = {path.name for path in UNITS if path.parent.name == folder}
        assert names == {f"{name.replace('.', f'{at}.')}" for name in EVERY_UNIT}


@by_name
def test_a_unit_has_the_sections_of_its_kind_and_says_what_it_is(path: Path) -> None:
    assert {section for section, _, _ in lines(path)} <= SECTIONS[path.suffix]
    assert path.read_text(encoding="utf-8").startswith("# ")
    assert len(values(path, "Description")) == 1


@by_name
def test_a_unit_names_only_units_that_are_there(path: Path) -> None:
    there = {unit.name.replace("@.", "@%i.") for unit in UNITS if unit.parent == path.parent}
    targets = {"sockets.target", "timers.target", "default.target", "multi-user.target"}
    for key in ("Requires", "After", "Also", "WantedBy"):
        for value in values(path, key):
            assert set(value.split()) <= there | targets


@of_services
def test_a_service_starts_a_program_of_ours_with_flags_that_it_has(path: Path) -> None:
    [start] = values(path, "ExecStart")
    check_command(shlex.split(start))


@of_services
def test_a_service_sets_only_settings_that_are_known(path: Path) -> None:
    for value in values(path, "Environment"):
        assert {word.partition("=")[0] for word in shlex.split(value)} <= VARIABLES


@of_services
def test_a_service_gains_no_privileges_and_leaves_its_files_to_its_user(path: Path) -> None:
    assert (values(path, "NoNewPrivileges"), values(path, "UMask")) == (["yes"], ["0077"])


@of_daemons
def test_the_daemon_tells_systemd_that_it_is_ready_and_alive_and_is_started_again(path: Path) -> None:
    assert (values(path, "Type"), values(path, "Restart")) == (["notify"], ["always"])
    assert values(path, "WatchdogSec")


@of_daemons
def test_the_daemons_unit_lets_its_sandbox_confine_code(path: Path) -> None:
    allowed = " ".join(values(path, "SystemCallFilter")).split()
    assert {"seccomp", "landlock_create_ruleset", "landlock_restrict_self"} <= set(allowed)
    assert values(path, "SystemCallErrorNumber") == ["EPERM"]


def test_the_sockets_lie_where_clients_ask_and_are_their_owners_alone() -> None:
    default = Settings.__dataclass_fields__["socket_path"].default
    for path in UNITS:
        if path.suffix == ".socket":
            assert (values(path, "ListenStream"), values(path, "SocketMode")) == ([default], ["0600"])


def test_the_example_of_an_environment_names_settings_that_are_known() -> None:
    text = (DEPLOY / "environment.example").read_text(encoding="utf-8")
    told = re.findall(r"^#?(MEMORY_\w+)=\S", text, re.MULTILINE)
    assert told
    assert set(told) <= VARIABLES


def test_the_cron_line_has_five_times_and_a_command_of_ours() -> None:
    [line] = [
        line for line in (DEPLOY / "crontab").read_text(encoding="utf-8").splitlines() if not line.startswith("#")
    ]
    assert re.fullmatch(r"[\d*]+( [\d*]+){4}", " ".join(line.split()[:5]))
    check_command(shlex.split(line.split(maxsplit=5)[5].partition(">")[0]))


def test_the_property_list_can_be_read_and_starts_the_daemon() -> None:
    [path] = (DEPLOY / "launchd").iterdir()
    agent = plistlib.loads(path.read_bytes())
    assert path.name == f"{agent['Label']}.plist"
    assert agent["ProgramArguments"][:2] == ["/bin/sh", "-c"]
    words = shlex.split(agent["ProgramArguments"][2].partition(" 2>>")[0])
    assert words[0] == "exec"
    check_command(words[1:])
    assert agent["EnvironmentVariables"].keys() <= VARIABLES
    assert agent["Umask"] == 0o077
    Settings.load(environ=agent["EnvironmentVariables"])


def test_the_guide_to_running_it_names_every_file_that_there_is_and_none_that_is_not() -> None:
    text = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    for path in re.findall(r"deploy/[\w./-]*\w", text):
        assert (ROOT / path).exists(), path
    for folder in ("deploy/systemd/user", "deploy/systemd/system", "deploy/launchd/", "deploy/crontab"):
        assert folder in text
