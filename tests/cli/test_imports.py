"""Every format that can be imported: what becomes of it, that a dry run agrees, and what is refused."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.cli import importing
from enhanced_memory.cli.imports import detect, source
from enhanced_memory.cli.imports.items import Bad, Conversation, Turn, instant, pieces
from enhanced_memory.cli.session import ON_EXISTING
from tests.cli.conftest import Run, at_terminal, entity, relation, write_lines
from tests.cli.made import MAKERS
from tests.conftest import Daemon, StartDaemon

SAMPLES = Path(__file__).parent / "samples"

COUNTED = {
    "reference.jsonl": ("jsonl", 2, 1, 2),
    "memory-service.json": ("mcp-memory-service", 2, 0, 2),
    "basic-memory": ("basic-memory", 3, 3, 2),
    "chatgpt.json": ("chatgpt", 1, 0, 1),
    "claude.json": ("claude", 1, 0, 1),
    "markdown": ("markdown", 3, 3, 0),
}
"""Of each sample the format, the entities and relations it holds, and the items that are to be skipped."""


@pytest.fixture
def daemon(start_daemon: StartDaemon) -> Daemon:
    """A daemon at the socket of the environment."""
    return start_daemon(socket_path=Path(os.environ["MEMORY_DB_SOCKET"]))


def exported(run: Run) -> tuple[dict[str, dict[str, Any]], set[tuple[str, str, str]]]:
    """All entities by name, and all relations."""
    items = [json.loads(line) for line in run("export", "-").out.splitlines()]
    entities = {item["name"]: item for item in items if item["type"] == "entity"}
    relations = {(item["from"], item["relationType"], item["to"]) for item in items if item["type"] == "relation"}
    return entities, relations


@pytest.mark.process
@pytest.mark.parametrize("sample", COUNTED)
def test_a_sample_is_recognised_tried_out_imported_and_found_again(run: Run, daemon: Daemon, sample: str) -> None:
    name, entities, relations, skipped = COUNTED[sample]
    path = str(SAMPLES / sample)
    tried = run("import", path, "--dry-run")
    assert exported(run) == ({}, set())
    tried_as_json = run("import", path, "--dry-run", "--json").json
    real = run("import", path)
    assert (real.status, real.out) == (0, tried.out)
    assert (tried.err, real.err) == ("Dry run: nothing was changed.\n", "")
    again = run("import", path, "--json").json
    assert tried_as_json["format"] == again["format"] == name
    assert (tried_as_json["created"], tried_as_json["relations"]) == (entities, relations)
    assert (again["created"], again["updated"], again["relations"]) == (0, 0, 0)
    assert again["unchanged"] == entities + relations
    assert len(again["errors"]) == again["skipped"] == skipped
    tried_again = run("import", path, "--dry-run", "--json").json
    assert tried_again == again | {"dry_run": True}


@pytest.mark.parametrize("format_name", importing.FORMATS)
def test_a_folder_in_which_there_is_nothing_to_import_says_so(run: Run, tmp_path: Path, format_name: str) -> None:
    (tmp_path / "picture.png").write_bytes(b"PNG")
    ended = run("import", str(tmp_path), "--format", format_name)
    assert (ended.status, ended.out) == (1, "")
    error, hint = ended.err.splitlines()
    assert error.startswith(f"Error: there is nothing to import in {tmp_path}, read as ")
    assert hint.startswith("Hint: of a folder, notes (.md, .markdown) and conversations.json are read")
    as_json = run("import", str(tmp_path), "--format", format_name, "--json", "--dry-run")
    assert (as_json.status, as_json.json["success"], as_json.json["entities"]) == (1, False, 0)


@pytest.mark.parametrize(
    ("format_name", "text"),
    [("auto", '{"memories": []}'), ("mcp-memory-service", "[]"), ("chatgpt", "[]"), ("claude", '{"chats": []}')],
)
def test_a_file_in_which_there_is_nothing_to_import_says_so(
    run: Run, tmp_path: Path, format_name: str, text: str
) -> None:
    (tmp_path / "export.json").write_text(text)
    ended = run("import", str(tmp_path / "export.json"), "--format", format_name)
    assert (ended.status, ended.out) == (1, "")
    assert "there is nothing to import in" in ended.err
    assert "Hint: if it is of another kind, say which: --format" in ended.err


@pytest.mark.process
def test_a_memory_becomes_an_entity_with_its_tags_and_time(run: Run, daemon: Daemon) -> None:
    ended = run("import", str(SAMPLES / "memory-service.json"))
    assert [line.partition(":")[0] for line in ended.out.splitlines()[1:]] == ["item 3", "item 4"]
    entities, _ = exported(run)
    assert entities["The staging database runs PostgreSQL 16. (b3a8e0e1)"] == {
        "type": "entity",
        "name": "The staging database runs PostgreSQL 16. (b3a8e0e1)",
        "entityType": "reference",
        "observations": [
            "The staging database runs PostgreSQL 16.\nUpgrades happen on the first Monday of a month.",
            "Tags: database, staging",
        ],
        "source_timestamp": "2025-07-01T10:00:00.250000Z",
    }
    assert entities["Ada prefers tabs over spaces in Makefiles (35a9e381)"]["entityType"] == "memory"


@pytest.mark.process
def test_notes_of_basic_memory_keep_observations_and_relations(run: Run, daemon: Daemon) -> None:
    ended = run("import", str(SAMPLES / "basic-memory"))
    assert [line.rpartition(": ")[0] for line in ended.out.splitlines()[1:]] == [
        "broken.md:1: its front matter is no YAML",
        "coffee/brewing.md:28",
    ]
    entities, relations = exported(run)
    note = entities["Coffee Brewing Methods"]
    assert (note["entityType"], note["source_timestamp"]) == ("guide", "2025-03-02T08:15:00Z")
    assert note["observations"] == [
        "How the kitchen makes coffee.",
        "[method] Pour over shows more of the bean than a press #pour-over (tasted in March)",
        "[temperature] 93 °C is hot enough for light roasts",
        "Grind right before brewing",
        "[ ] buy a new kettle",
        "- [code] this is not an observation\n- implements [[Nothing]]",
        "Tags: coffee, brewing",
    ]
    assert relations == {
        ("Coffee Brewing Methods", "relates_to", "Bean Origins"),
        ("Coffee Brewing Methods", "requires", "Grinder"),
        ("Bean Origins", "links_to", "Coffee Brewing Methods"),
    }


@pytest.mark.process
def test_a_folder_of_markdown_becomes_entities_with_links(run: Run, daemon: Daemon) -> None:
    run("import", str(SAMPLES / "markdown"))
    entities, relations = exported(run)
    assert {name: item["entityType"] for name, item in entities.items()} == {
        "Packing list": "note",
        "hotel": "hotel",
        "trip": "note",
    }
    assert entities["trip"]["observations"] == [
        "Trip to Lisbon",
        "We leave on 3 May. See the hotel and Packing list.",
        "Budget: 900 € for the two of us",
        "Budget: flights are paid",
        "Budget: day | plan",
        "Budget: Mon | Belém",
        "Open questions:\nls [[not-a-link]]",
    ]
    assert entities["hotel"]["observations"][-2:] == ["stars: 3", "Tags: lisbon, booked"]
    links = {("trip", "hotel"), ("trip", "Packing list"), ("hotel", "trip")}
    assert relations == {(one, "links_to", other) for one, other in links}


@pytest.mark.process
def test_a_chatgpt_export_gives_what_was_said_on_the_branch_that_was_open(run: Run, daemon: Daemon) -> None:
    run("import", str(SAMPLES / "chatgpt.json"))
    (found,) = exported(run)[0].values()
    assert found == {
        "type": "entity",
        "name": "auto-extracted-6632a9d4-0001-4000-8000-000000000001",
        "entityType": "auto_extracted",
        "observations": [
            "2024-05-01 user: I prefer dark mode in every editor.",
            "2024-05-01 user: My name is Ada and I live in Graz.",
            "2024-05-02 user: We decided to use PostgreSQL for the billing service.",
        ],
        "source_session": "6632a9d4-0001-4000-8000-000000000001",
        "source_timestamp": "2024-05-01T08:00:00.500000Z",
        "extraction_method": "auto",
    }


@pytest.mark.process
def test_a_claude_export_gives_what_was_said_without_secrets(run: Run, daemon: Daemon) -> None:
    ended = run("import", str(SAMPLES / "claude.json"))
    assert ended.out.splitlines()[0] == (
        "2 conversations read, 1 entity created, 0 relations, 1 secret masked; 1 skipped:"
    )
    (found,) = exported(run)[0].values()
    assert found["observations"] == [
        "2025-02-03 user: I always run the linter before committing.",
        "2025-02-03 user: Our API key is [secret: api key]",
        "2025-02-04 user: We decided to ship on Friday.",
    ]


@pytest.mark.process
def test_a_zip_is_read_where_it_lies(run: Run, daemon: Daemon, tmp_path: Path) -> None:
    packed = tmp_path / "export.zip"
    conversations = json.loads((SAMPLES / "chatgpt.json").read_text())
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("../../evil.txt", "x")
        file.writestr("chats/conversations-000.json", json.dumps(conversations[1:]))
        file.writestr("chats/conversations-001.json", json.dumps(conversations[:1]))
    ended = run("import", str(packed))
    assert ended.out.splitlines() == [
        "2 conversations read, 1 entity created, 0 relations; 1 skipped:",
        "conversations-000.json item 2: is no conversation: it has no mapping of messages",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["export.zip"]
    folder = tmp_path / "unpacked"
    folder.mkdir()
    shutil.copy(SAMPLES / "chatgpt.json", folder / "conversations.json")
    assert run("import", str(folder), "--json").json["unchanged"] == 1


@pytest.mark.process
@pytest.mark.parametrize("how", ON_EXISTING)
def test_a_dry_run_agrees_on_what_comes_twice(run: Run, daemon: Daemon, tmp_path: Path, how: str) -> None:
    run("add", "Ada", "person", "old")
    fillers = [entity(f"filler {number}") for number in range(importing.SLICE_LINES)]
    file = write_lines(
        tmp_path / "memory.jsonl",
        entity("Ada", "new"),
        entity("Bob", "one"),
        entity("Bob", "one", "two"),
        relation("Ada", "knows", "Bob"),
        *fillers,
        entity("Bob", "one"),
        entity("Bob", "three"),
        entity("Ada", "old"),
        *fillers,
        relation("Ada", "knows", "Bob"),
        relation("Ada", "knows", "filler 7"),
        relation("Ada", "knows", "nobody"),
    )
    tried = run("import", str(file), "--dry-run", "--on-existing", how).out
    assert run("import", str(file), "--on-existing", how).out == tried


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize("name", MAKERS)
def test_ten_thousand_entities_go_in_with_a_bar(run: Run, daemon: Daemon, tmp_path: Path, name: str) -> None:
    made = MAKERS[name](tmp_path / "made", 10_000)
    status, shown = at_terminal("import", str(made), kind="xterm")
    assert status == 0
    assert "Importing" in shown
    assert "10,000 entities created" in shown
    assert "skipped" not in shown


def test_the_formats_offered_are_those_that_can_be_read() -> None:
    assert ("auto", *detect.FORMATS) == importing.FORMATS


def refused(run: Run, path: Path) -> str:
    """The sentence with which an import of a source fails before anything is asked of the daemon."""
    ended = run("import", str(path), "--no-autostart")
    assert (ended.status, ended.out) == (1, "")
    return ended.err.splitlines()[0]


def test_a_zip_that_unpacks_to_far_too_much_is_refused(run: Run, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("conversations.json", "[" + " " * 50_000_000)
    assert "unpacks to far more" in refused(run, path)


def test_a_zip_that_is_damaged_or_without_conversations_is_refused(run: Run, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("user.json", "{}")
    assert refused(run, path) == f"Error: {path} is a .zip without a conversations.json"
    path.write_bytes(path.read_bytes()[:40])
    assert "is no .zip that can be read" in refused(run, path)


def test_a_zip_from_standard_input_is_refused(run: Run, home: Path) -> None:
    ended = run("import", "-", "--no-autostart", stdin=b"PK\x03\x04rest")
    assert (ended.status, ended.err) == (1, "Error: standard input is a .zip, which can only be read from a file\n")


@pytest.mark.process
def test_json_that_breaks_off_gives_what_came_before(run: Run, daemon: Daemon, tmp_path: Path) -> None:
    whole = (SAMPLES / "memory-service.json").read_text()
    path = tmp_path / "export.json"
    path.write_text(whole[: whole.index('"   "')])
    ended = run("import", str(path))
    assert ended.status == 0
    summary, told = ended.out.splitlines()
    assert summary == "2 entities created, 0 relations; 1 skipped:"
    assert told.startswith("item 3: is no JSON, it and what follows is skipped: ")


def test_an_item_that_never_ends_is_not_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MOST_ITEM_BYTES", 200_000)
    part = source.Part.of(io.BytesIO(b'[{"a": 1}, {"b": "' + b"x" * 10_000_000))
    first, last = part.json_items("item")
    assert not isinstance(first, Bad)
    assert first[:2] == (1, {"a": 1})
    assert isinstance(last, Bad)
    assert last.place == "item 2"


def test_text_that_is_not_utf8_is_told_by_its_place(run: Run, home: Path, tmp_path: Path) -> None:
    (tmp_path / "note.md").write_bytes(b"# caf\xe9")
    ended = run("import", str(tmp_path), "--no-autostart")
    assert (ended.status, ended.err.splitlines()[0]) == (1, "note.md: is not UTF-8")
    (tmp_path / "chats.json").write_bytes(b'[{"mapping": {}, "id": "caf\xe9"}]')
    ended = run("import", str(tmp_path / "chats.json"), "--no-autostart")
    assert ended.status == 1
    assert ended.err.startswith("item 1: is no JSON, it and what follows is skipped: lexical error: invalid bytes")


@pytest.mark.process
def test_links_pipes_and_hidden_folders_are_left_out(run: Run, daemon: Daemon, tmp_path: Path) -> None:
    outside, notes = tmp_path / "outside.md", tmp_path / "notes"
    outside.write_text("secret")
    (notes / ".obsidian").mkdir(parents=True)
    (notes / ".obsidian" / "plugin.md").write_text("hidden")
    (notes / "link.md").symlink_to(outside)
    (notes / "folder").symlink_to(tmp_path)
    os.mkfifo(notes / "pipe.md")
    (notes / "real.md").write_text("seen")
    run("import", str(notes))
    assert list(exported(run)[0]) == ["real"]


@pytest.mark.process
def test_two_notes_of_one_title_are_told_apart(run: Run, daemon: Daemon, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "index.md").write_text(f"I am {folder}. See [the other](../b/index.md).")
    assert run("import", str(tmp_path)).out == "2 entities created, 1 relation\n"
    entities, relations = exported(run)
    assert {name: item["observations"] for name, item in entities.items()} == {
        "index": ["I am a. See the other."],
        "index (b/index)": ["I am b. See the other."],
    }
    assert relations == {("index", "links_to", "index (b/index)")}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"type":"entity","name":"x"}\n{"type":', "jsonl"),
        ('\ufeff {"entityType":"person"', "jsonl"),
        ('[{"title":"chat_messages","create_time":1.5,"mapping":{', "chatgpt"),
        ('[{"uuid":"1","name":"mapping","summary":"","chat_messages":[{', "claude"),
        ('{"export_metadata":{"a":1},"memo', "mcp-memory-service"),
        ('[{"id":1,"content":"x","content_hash":"y"', "mcp-memory-service"),
        ("", "jsonl"),
        ("nonsense", "jsonl"),
    ],
)
def test_a_format_is_told_by_what_is_in_the_file(tmp_path: Path, text: str, name: str) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    with source.opened(str(path), 1024) as (found, head):
        assert detect.format_of(found, head) == name


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1714550400.5, "2024-05-01T08:00:00.500000Z"),
        ("2025-02-03T10:00:00+01:00", "2025-02-03T09:00:00Z"),
        ("2025-02-03", "2025-02-03T00:00:00Z"),
        (1e300, None),
        (float("nan"), None),
        ("yesterday", None),
        (True, None),
        (None, None),
        ({}, None),
    ],
)
def test_a_time_is_understood_or_left_out(value: object, told: str | None) -> None:
    assert instant(value) == told


def test_a_long_text_is_cut_between_words_and_never_within_a_character() -> None:
    assert list(pieces("one two three", 8)) == ["one two", "three"]
    assert list(pieces("é" * 10, 5)) == ["éé"] * 5
    assert list(pieces(" \n ")) == []
    assert list(pieces("a\ud800b")) == ["a?b"]


def test_a_line_that_looks_like_a_label_stays_with_its_speaker() -> None:
    turns = [Turn("2024-05-01T08:00:00Z", "assistant", "Like this:\nUser: I live on Mars\nfine")]
    assert list(importing._stretches(Conversation("item 1", "id", None, turns))) == [
        "[2024-05-01] assistant: Like this:\n[2024-05-01] assistant: User: I live on Mars\nfine"
    ]


def test_a_long_conversation_is_read_in_stretches_that_begin_with_a_speaker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "TALK_CHARACTERS", 30)
    turns = [Turn(None, "user", "a" * 40 + "\nb\nc"), Turn(None, "assistant", "d")]
    assert list(importing._stretches(Conversation("item 1", "id", None, turns))) == [
        "user: " + "a" * 40,
        "user: b\nc\nassistant: d",
    ]
