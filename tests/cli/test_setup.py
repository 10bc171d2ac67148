"""The command setup, on files as assistants and people write them: the entry is there, and no other byte changes."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.cli import clients, files, jsonc
from enhanced_memory.cli.clients import CLIENTS
from tests.cli.conftest import Run, at_terminal
from tests.conftest import PROMPTLY_S

FIXTURES = Path(__file__).parent / "clients"
CONTAINERS = {"vscode": "servers", "opencode": "mcp", "codex": "mcp_servers"}


@pytest.fixture(autouse=True)
def usual_places(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Nothing given in the environment, and no assistant on the path."""
    for variable in ("MEMORY_DB_SOCKET", "MEMORY_SEMANTIC", "CLAUDE_CONFIG_DIR", "CODEX_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


@pytest.fixture
def placed(home: Path) -> Callable[[str], Path]:
    """Put an assistant's sample where the assistant keeps it."""

    def place(name: str) -> Path:
        [sample] = FIXTURES.glob(f"{name}.*")
        path = CLIENTS[name].path(os.environ)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sample, path)
        return path

    return place


def entry_in(name: str, content: bytes) -> dict[str, Any]:
    """The entry as the assistant would read it."""
    text = content.decode()
    says = tomllib.loads(text) if name == "codex" else jsonc.read(text)
    entry: dict[str, Any] = says[CONTAINERS.get(name, "mcpServers")]["enhanced-memory"]
    return entry


def is_one_piece_more(before: bytes, after: bytes) -> bool:
    """Whether `after` is `before` with one piece put in at one place."""
    head = 0
    while head < len(before) and before[head] == after[head]:
        head += 1
    return after.endswith(before[head:])


@pytest.mark.parametrize("name", CLIENTS)
def test_the_entry_is_there_and_all_else_is_byte_for_byte_the_same(
    run: Run, placed: Callable[[str], Path], name: str
) -> None:
    path = placed(name)
    before = path.read_bytes()
    ended = run("setup", name)
    assert ended.status == 0
    assert ended.out == f"added\tenhanced-memory\t{path}\n"
    after = path.read_bytes()
    command = clients.command_of(entry_in(name, after))
    assert os.path.isabs(command[0])
    assert os.access(command[0], os.X_OK)
    commas = [before[:at] + b"," + before[at:] for at in range(len(before) + 1)]
    assert any(is_one_piece_more(each, after) for each in (before, *commas)), "more than the entry and a comma"


@pytest.mark.parametrize("name", CLIENTS)
def test_a_second_run_changes_nothing_and_says_so(run: Run, placed: Callable[[str], Path], name: str) -> None:
    path = placed(name)
    run("setup", name)
    once, files = path.read_bytes(), sorted(path.parent.iterdir())
    ended = run("setup", name)
    assert ended.out == f"unchanged\tenhanced-memory\t{path}\n"
    assert (path.read_bytes(), sorted(path.parent.iterdir())) == (once, files)


@pytest.mark.parametrize("name", CLIENTS)
def test_remove_gives_back_the_bytes_as_they_were(run: Run, placed: Callable[[str], Path], name: str) -> None:
    path = placed(name)
    before = path.read_bytes()
    run("setup", name)
    ended = run("setup", name, "--remove")
    assert ended.out.splitlines()[0] == f"removed\tenhanced-memory\t{path}"
    assert path.read_bytes() == before
    assert run("setup", name, "--remove").out.splitlines()[0] == f"absent\tenhanced-memory\t{path}"
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", CLIENTS)
def test_what_others_change_after_us_stays_when_we_are_removed(
    run: Run, placed: Callable[[str], Path], name: str
) -> None:
    path = placed(name)
    run("setup", name)
    edited = path.read_bytes().replace(b"npx", b"pnpm dlx").replace(b"uvx", b"pipx")
    edited = edited.replace(b'"mcpServers": {\n', b'"mcpServers": {\n    // mine\n') if name == "windsurf" else edited
    path.write_bytes(edited)
    run("setup", name, "--remove")
    after = path.read_bytes()
    assert b"enhanced-memory" not in re.sub(
        rb"//[^\n]*|echo \[[^\n]*|\n\[mcp_servers.enhanced-memory\]\ncommand = \"this", b"", after
    )
    assert after.count(b"pnpm dlx") == edited.count(b"pnpm dlx")
    if name == "windsurf":
        assert b"// mine" in after


@pytest.mark.parametrize("name", CLIENTS)
def test_a_missing_file_is_made_for_its_owner_alone_and_removed_again(run: Run, home: Path, name: str) -> None:
    path = CLIENTS[name].path(os.environ)
    assert run("setup", name).out == f"added\tenhanced-memory\t{path}\n"
    assert entry_in(name, path.read_bytes())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    if path.parent != home:
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    run("setup", name, "--remove")
    assert not path.exists()


@pytest.mark.parametrize("name", CLIENTS)
def test_a_dry_run_shows_the_diff_and_changes_nothing(run: Run, placed: Callable[[str], Path], name: str) -> None:
    path = placed(name)
    before = path.read_bytes()
    ended = run("setup", name, "--dry-run")
    assert ended.out.startswith(f"--- {path}\n+++ {path}\n@@ ")
    assert re.search(r"^\+.*enhanced-memory", ended.out, re.MULTILINE)
    assert path.read_bytes() == before
    assert list(path.parent.glob("*.backup-*")) == []


def test_the_file_as_it_was_is_kept_beside_it_with_its_mode(run: Run, placed: Callable[[str], Path]) -> None:
    path = placed("cursor")
    path.chmod(0o640)
    before = path.read_bytes()
    ended = run("setup", "cursor")
    [kept] = path.parent.glob("mcp.json.backup-*")
    assert f"is kept as {kept}" in ended.err
    assert kept.read_bytes() == before
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path, kept)] == [0o640, 0o640]


def test_a_link_is_followed_and_stays_a_link(run: Run, placed: Callable[[str], Path], home: Path) -> None:
    path = placed("codex")
    real = home / "dotfiles" / "codex.toml"
    real.parent.mkdir()
    path.rename(real)
    path.symlink_to(real)
    run("setup", "codex")
    assert path.is_symlink()
    assert entry_in("codex", real.read_bytes())


def test_an_older_entry_is_brought_up_to_date_and_keeps_what_the_person_added(run: Run, home: Path) -> None:
    path = home / ".cursor" / "mcp.json"
    path.parent.mkdir()
    path.write_text(
        '{"mcpServers": {"enhanced-memory": {\n  "command": "/gone/memory-mcp", // moved\n'
        '  "args": ["--tools", "full"],\n  "env": {"MEMORY_NAMESPACE": "home"},\n  "disabled": false, }}}'
    )
    assert run("--socket", "/tmp/other.sock", "setup", "cursor").out.startswith("updated\t")
    entry = entry_in("cursor", path.read_bytes())
    assert entry.pop("command") != "/gone/memory-mcp"
    assert entry == {
        "args": ["--tools", "full"],
        "env": {"MEMORY_NAMESPACE": "home", "MEMORY_DB_SOCKET": "/tmp/other.sock"},
        "disabled": False,
    }
    assert "// moved" in path.read_text()


def test_an_entry_that_was_for_another_kind_of_server_becomes_ours(run: Run, home: Path) -> None:
    path = home / ".gemini" / "settings.json"
    path.parent.mkdir()
    path.write_text(
        '{"mcpServers": {"enhanced-memory": {"httpUrl": "http://x", "headers": {}, "args": ["-y"], "trust": true}}}'
    )
    run("setup", "gemini")
    assert entry_in("gemini", path.read_bytes()).keys() == {"command", "trust"}


@pytest.mark.parametrize(
    ("name", "content", "where"),
    [
        ("cursor", b'{\n  "mcpServers": {\n    "a": 1\n    "b": 2\n  }\n}', "line 4, column 5"),
        ("codex", b'model = "a"\n[mcp_servers.x\n', "line 2, column 15"),
        ("vscode", b'{"servers": []}', "servers is not what it should be"),
        ("gemini", b"[]", "the whole is not what it should be"),
        ("windsurf", b'{"a": "\xff"}', "not written in UTF-8 (line 1)"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_the_place_and_left_as_it_is(
    run: Run, name: str, content: bytes, where: str
) -> None:
    path = CLIENTS[name].path(os.environ)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    ended = run("setup", name)
    assert ended.status == 1
    assert str(path) in ended.err
    assert where in ended.err
    assert "Hint: " in ended.err
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_changed_since_it_was_read_is_left_alone(home: Path) -> None:
    path = home / "mcp.json"
    path.write_bytes(b"{}")
    change = files.Change(path, b"{}", b'{"a": 1}')
    path.write_bytes(b'{"b": 2}')
    with pytest.raises(files.Trouble, match="changed by another program"):
        change.make()
    assert path.read_bytes() == b'{"b": 2}'
    assert list(home.iterdir()) == [path]


def test_two_changes_in_one_second_keep_two_copies(home: Path) -> None:
    path = home / "mcp.json"
    path.write_bytes(b"0")
    kept = [files.Change(path, b"%d" % n, b"%d" % (n + 1)).make() for n in range(3)]
    assert [copy.read_bytes() for copy in kept if copy] == [b"0", b"1", b"2"]
    assert next(files.backups(path)) == b"2"


def test_a_folder_in_the_files_place_is_refused(run: Run, home: Path) -> None:
    (home / ".claude.json").mkdir()
    ended = run("setup", "claude-code")
    assert ended.status == 1
    assert "is a folder, and is left as it is" in ended.err


def test_settings_that_were_given_and_differ_from_their_defaults_go_with_the_entry(run: Run, home: Path) -> None:
    run("setup", "claude-code", "--namespace", "work", "--socket", "/tmp/memory-db.sock", "--tools", "full")
    entry = entry_in("claude-code", (home / ".claude.json").read_bytes())
    assert entry["env"] == {"MEMORY_NAMESPACE": "work", "MEMORY_TOOLS": "full"}


def test_a_projects_file_lies_in_the_folder_one_is_in(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = home / "engine"
    project.mkdir()
    monkeypatch.chdir(project)
    for name, client in CLIENTS.items():
        ended = run("setup", name, "--project")
        if client.project is None:
            assert ended.status == 2
        else:
            assert entry_in(name, (project / client.project).read_bytes())
    assert sorted(path.name for path in home.iterdir()) == ["engine"]


def test_another_file_and_another_name_can_be_given(run: Run, home: Path) -> None:
    run("setup", "windsurf", "--file", str(home / "x.json"), "--name", "notes")
    assert list(json.loads((home / "x.json").read_text())["mcpServers"]) == ["notes"]


def test_files_are_found_where_the_assistants_variables_say(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(home / "claude"))
    monkeypatch.setenv("CODEX_HOME", str(home / "codex"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    for name in ("claude-code", "codex", "vscode", "opencode"):
        run("setup", name)
    run("setup", "claude-code", "--hooks")
    found = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file() and ".backup-" not in path.name}
    assert found == {
        "claude/.claude.json",
        "claude/settings.json",
        "codex/config.toml",
        "config/Code/User/mcp.json",
        "config/opencode/opencode.json",
    }


def test_macos_keeps_them_in_its_own_places() -> None:
    places = {name: str(client.path({"HOME": "/Users/ada"}, "darwin")) for name, client in CLIENTS.items()}
    assert places["claude-desktop"] == "/Users/ada/Library/Application Support/Claude/claude_desktop_config.json"
    assert places["vscode"] == "/Users/ada/Library/Application Support/Code/User/mcp.json"
    assert places["cursor"] == "/Users/ada/.cursor/mcp.json"


def test_opencodes_file_with_comments_wins_and_its_newer_layout_is_followed(run: Run, home: Path) -> None:
    path = home / ".config/opencode/opencode.jsonc"
    path.parent.mkdir(parents=True)
    path.write_text('{\n  "mcp": {\n    "servers": {} // version 2\n  }\n}\n')
    run("setup", "opencode")
    assert jsonc.read(path.read_text())["mcp"].keys() == {"servers"}
    assert jsonc.read(path.read_text())["mcp"]["servers"]["enhanced-memory"]["type"] == "local"
    assert not path.with_suffix(".json").exists()


def test_json_tells_what_was_done(run: Run, home: Path) -> None:
    reply = run("setup", "cursor", "--json", "--dry-run").json
    assert reply["success"] is True
    assert reply["dry_run"] is True
    [change] = reply["changes"]
    assert change["action"] == "added"
    assert change["file"] == str(home / ".cursor/mcp.json")
    assert "+++ " in change["diff"]


def test_without_an_assistant_they_are_listed_with_what_is_here(run: Run, placed: Callable[[str], Path]) -> None:
    placed("codex")
    run("setup", "codex")
    placed("gemini")
    cursor = placed("cursor")
    cursor.write_text('{"mcpServers": {"enhanced-memory": {"command": "/gone/memory-mcp"}}}')
    rows = {line.split("\t")[0]: line.split("\t")[1:3] for line in run("setup").out.splitlines()}
    assert rows.keys() == CLIENTS.keys()
    assert rows["codex"] == ["yes", "ready"]
    assert rows["gemini"] == ["yes", "absent"]
    assert rows["cursor"] == ["yes", "broken"]
    assert rows["windsurf"] == ["no", "absent"]
    told = {one["assistant"]: one for one in run("setup", "--json").json["assistants"]}
    assert "/gone/memory-mcp, which is no program here" in told["cursor"]["says"]


def test_all_means_those_that_are_here(run: Run, placed: Callable[[str], Path], home: Path) -> None:
    paths = [placed("codex"), placed("gemini")]
    ended = run("setup", "all")
    assert [line.split("\t")[2] for line in ended.out.splitlines()] == list(map(str, paths))
    assert not (home / ".cursor").exists()


def test_one_file_that_cannot_be_read_leaves_all_of_them_as_they_are(run: Run, placed: Callable[[str], Path]) -> None:
    codex, gemini = placed("codex"), placed("gemini")
    before = codex.read_bytes()
    gemini.write_text("{")
    assert run("setup", "all").status == 1
    assert codex.read_bytes() == before


@pytest.mark.process
def test_a_person_at_a_terminal_gets_a_table(home: Path) -> None:
    status, shown = at_terminal("setup")
    assert status == 0
    assert re.search(r"Assistant +Here +Entry +File", shown)


@pytest.mark.parametrize(
    "arguments",
    [("emacs",), ("cursor", "--hooks"), ("all", "--project"), ("--file", "x"), ("cursor", "--project", "--file", "x")],
)
def test_what_makes_no_sense_together_is_wrong_usage(run: Run, arguments: tuple[str, ...], home: Path) -> None:
    assert run("setup", *arguments).status == 2
    assert list(home.iterdir()) == []


# Hooks


def settings_of(home: Path) -> Path:
    path = home / ".claude" / "settings.json"
    path.parent.mkdir(exist_ok=True)
    shutil.copyfile(FIXTURES / "claude-code-settings.json", path)
    return path


def commands(path: Path) -> dict[str, list[str]]:
    """Every hook's command by its event."""
    events = jsonc.read(path.read_text())["hooks"]
    return {event: [hook["command"] for group in groups for hook in group["hooks"]] for event, groups in events.items()}


def test_hooks_are_added_to_those_that_are_there(run: Run, home: Path) -> None:
    path = settings_of(home)
    before = path.read_bytes()
    run("setup", "claude-code", "--hooks")
    tool = str(Path(sys.executable).with_name("enhanced-memory"))
    assert commands(path) == {
        "PostToolUse": ["ruff format"],
        "SessionStart": ["git status --short", f"{tool} hook session-start"],
        "PreCompact": [f"{tool} hook session-end"],
        "SessionEnd": [f"{tool} hook session-end"],
    }
    rest = iter(path.read_bytes())
    assert all(byte in rest for byte in before)
    again = run("setup", "claude-code", "--hooks")
    assert [line.split("\t")[0] for line in again.out.splitlines()] == ["unchanged", "unchanged"]
    run("setup", "claude-code", "--remove")
    assert path.read_bytes() == before


def test_hooks_of_a_program_that_moved_are_brought_up_to_date_where_they_are(run: Run, home: Path) -> None:
    path = settings_of(home)
    run("setup", "claude-code", "--hooks", "--namespace", "work")
    once = path.read_text()
    moved = once.replace(str(Path(sys.executable).parent), "/gone/bin")
    path.write_text(moved)
    run("setup", "claude-code", "--hooks", "--namespace", "work")
    assert path.read_text() == once
    assert commands(path)["SessionEnd"][0].endswith("hook session-end --namespace work")


def test_hooks_of_others_stay_when_ours_go_though_the_file_has_changed(run: Run, home: Path) -> None:
    path = settings_of(home)
    run("setup", "claude-code", "--hooks")
    path.write_text(path.read_text().replace('"opus"', '"sonnet"'))
    run("setup", "claude-code", "--remove")
    assert path.read_bytes() == (FIXTURES / "claude-code-settings.json").read_bytes().replace(b"opus", b"sonnet")


def test_a_group_that_holds_a_hook_of_others_beside_ours_keeps_it(run: Run, home: Path) -> None:
    path = settings_of(home)
    ours = '{"type": "command", "command": "/x/enhanced-memory hook session-end"}'
    path.write_text(f'{{"hooks": {{"SessionEnd": [{{"hooks": [{{"type": "command", "command": "bye"}}, {ours}]}}]}}}}')
    run("setup", "claude-code", "--remove")
    assert commands(path) == {"SessionEnd": ["bye"]}


# The service

SYSTEMCTL = """\
#!/bin/sh
echo "$@" >> "$HOME/calls"
case "$*" in *show-environment*) exit ${ANSWERS:-0};; *enable*) exit ${ENABLES:-0};; esac
"""


@pytest.fixture
def systemctl(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """A stand-in for systemctl that writes down what it is asked; gives that."""
    folder = home / "bin"
    folder.mkdir()
    program = folder / "systemctl"
    program.write_text(SYSTEMCTL)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(sys, "platform", "linux")

    def calls() -> list[str]:
        told = (home / "calls").read_text().splitlines() if (home / "calls").exists() else []
        return [line for line in told if "show-environment" not in line]

    return calls


def test_the_service_is_written_with_the_paths_of_this_installation_and_started(
    run: Run, home: Path, systemctl: Callable[[], list[str]]
) -> None:
    ended = run("setup", "service")
    assert ended.status == 0
    folder = home / ".config/systemd/user"
    units = {path.name: path.read_text() for path in folder.iterdir()}
    assert units.keys() == {"memory-db.socket", "memory-db.service", "memory-backup.service", "memory-backup.timer"}
    programs = Path(sys.executable).parent
    assert f"\nExecStart={programs}/memory-db-service\n" in units["memory-db.service"]
    assert f"\nExecStart={programs}/enhanced-memory --no-autostart call backup\n" in units["memory-backup.service"]
    assert "%h/.local" not in "".join(units.values())
    assert "\nListenStream=/tmp/memory-db.sock\n" in units["memory-db.socket"]
    assert systemctl() == [
        "--user daemon-reload",
        "--user stop memory-db.socket memory-db.service",
        "--user enable --now memory-db.socket memory-backup.timer",
    ]


def test_a_second_run_of_the_service_changes_no_file_and_stops_nothing(
    run: Run, home: Path, systemctl: Callable[[], list[str]]
) -> None:
    run("setup", "service")
    once = {path: path.stat().st_mtime_ns for path in (home / ".config").rglob("*")}
    ended = run("setup", "service")
    assert [line.split("\t")[0] for line in ended.out.splitlines()] == ["unchanged"] * 4 + ["run"]
    assert {path: path.stat().st_mtime_ns for path in (home / ".config").rglob("*")} == once
    assert systemctl()[3:] == ["--user enable --now memory-db.socket memory-backup.timer"]


def test_the_services_socket_and_database_are_those_that_were_given(
    run: Run, home: Path, systemctl: Callable[[], list[str]]
) -> None:
    run("setup", "service", "--socket", "/tmp/100% mine.sock", "--db", str(home / "a b.db"))
    folder = home / ".config/systemd/user"
    assert "\nListenStream=/tmp/100%% mine.sock\n" in (folder / "memory-db.socket").read_text()
    for name in ("memory-db.service", "memory-backup.service"):
        unit = (folder / name).read_text()
        assert f'\nEnvironment="MEMORY_DB_PATH={home}/a b.db"\n' in unit
        assert '\nEnvironment="MEMORY_DB_SOCKET=/tmp/100%% mine.sock"\n' in unit


def test_a_dry_run_of_the_service_tells_files_and_commands_and_does_nothing(
    run: Run, home: Path, systemctl: Callable[[], list[str]]
) -> None:
    ended = run("setup", "service", "--dry-run")
    assert ended.out.count("--- /dev/null\n+++ ") == 4
    assert ended.out.splitlines()[-1] == "would run\tsystemctl --user enable --now memory-db.socket memory-backup.timer"
    assert systemctl() == []
    assert not (home / ".config").exists()
    told = run("setup", "service", "--dry-run", "--json").json
    assert len(told["changes"]) == 4
    assert told["commands"][-1][:3] == ["systemctl", "--user", "enable"]


def test_the_service_is_removed_after_it_was_stopped(run: Run, home: Path, systemctl: Callable[[], list[str]]) -> None:
    run("setup", "service")
    ended = run("setup", "service", "--remove")
    assert ended.status == 0
    assert list((home / ".config/systemd/user").glob("memory-*[a-z]")) == [
        path for path in (home / ".config/systemd/user").glob("memory-*[a-z]") if ".backup-" in path.name
    ]
    assert systemctl()[3:] == [
        "--user disable --now memory-db.socket memory-db.service memory-backup.service memory-backup.timer",
        "--user daemon-reload",
    ]
    assert "There was no service." in run("setup", "service", "--remove").err


def test_without_a_systemd_for_the_user_the_service_says_so_and_writes_nothing(
    run: Run, home: Path, systemctl: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSWERS", "1")
    ended = run("setup", "service")
    assert ended.status == 1
    assert "this user has no systemd that answers" in ended.err
    assert "the daemon is started when somebody needs it" in ended.err
    monkeypatch.setenv("PATH", str(home))
    assert "there is no systemctl here" in run("setup", "service").err
    assert not (home / ".config").exists()


def test_a_command_of_systemd_that_fails_is_told(
    run: Run, home: Path, systemctl: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENABLES", "1")
    ended = run("setup", "service")
    assert ended.status == 1
    assert "systemctl --user enable --now memory-db.socket memory-backup.timer failed" in ended.err


def test_on_macos_it_is_an_agent_of_launchd(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import plistlib

    (home / "launchctl").write_text(SYSTEMCTL)
    (home / "launchctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{home}:/usr/bin:/bin")
    monkeypatch.setattr(sys, "platform", "darwin")
    run("setup", "service", "--db", str(home / "a&b.db"))
    path = home / "Library/LaunchAgents/local.enhanced-memory.plist"
    agent = plistlib.loads(path.read_bytes())
    assert f"exec '{Path(sys.executable).parent}/memory-db-service'" in agent["ProgramArguments"][-1]
    assert agent["EnvironmentVariables"]["MEMORY_DB_PATH"] == str(home / "a&b.db")
    assert (home / "calls").read_text() == f"bootstrap gui/{os.getuid()} {path}\n"
    run("setup", "service", "--remove")
    assert not path.exists()


@pytest.mark.process
def test_a_daemon_that_runs_by_itself_ends_before_the_service_takes_its_place(
    run: Run, home: Path, systemctl: Callable[[], list[str]], start_daemon: Any
) -> None:
    daemon = start_daemon()
    ended = run("setup", "service", "--socket", str(daemon.socket_path), "--db", str(daemon.db))
    assert f"pid {daemon.process.pid}" in ended.err
    assert daemon.process.wait(PROMPTLY_S) == 0


@pytest.mark.process
def test_systemd_accepts_the_units_that_are_written(run: Run, home: Path, systemctl: Callable[[], list[str]]) -> None:
    run("setup", "service", "--db", str(home / "a b%c.db"))
    verify = shutil.which("systemd-analyze", path="/usr/bin:/bin")
    units = sorted(map(str, (home / ".config/systemd/user").glob("memory-*")))
    command = [verify, "--user", "verify", *units] if verify else ["true"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "memory-" not in done.stderr, done.stderr
