"""Skills as a caller meets them: kept, checked, run, counted, listed and taken away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.sandbox import limits
from enhanced_memory.service.dispatcher import MemoryDBService
from enhanced_memory.settings import Settings

pytestmark = pytest.mark.process

Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def save(ask: Ask) -> Ask:
    """Save a skill and give the reply, which must be a success."""

    def saved(name: str = "double", code: str = "result = n * 2", **fields: Any) -> dict[str, Any]:
        reply = ask("save_skill", name=name, code=code, **{"description": "doubles n", **fields})
        assert reply["success"], reply
        return reply

    return saved


def listed(ask: Ask, name: str) -> dict[str, Any]:
    """What list_skills tells of the newest version of a skill."""
    note: dict[str, Any] = ask("list_skills", name=name)["skills"][0]
    return note


def test_a_skill_is_kept_and_runs_with_its_arguments_as_variables_and_as_a_dict(ask: Ask, save: Ask) -> None:
    assert save(code="print(args)\nresult = n * 2") == {
        "success": True,
        "name": "double",
        "version": 1,
        "action": "created",
    }
    reply = ask("run_skill", name="double", args={"n": 21})
    assert (reply["name"], reply["version"], reply["result"]) == ("double", 1, 42)
    assert reply["stdout"] == "{'n': 21}\n"
    assert reply["execution_time_ms"] > 0
    assert reply["memory_used_mb"] > 1
    assert reply["operations"] == {}


def test_without_arguments_args_is_an_empty_dict(ask: Ask, save: Ask) -> None:
    save(code="result = args")
    assert ask("run_skill", name="double")["result"] == {}


def test_other_code_makes_the_next_version_and_the_same_code_none(ask: Ask, save: Ask) -> None:
    save()
    assert save()["action"] == "unchanged"
    assert save(code="result = n + n") == {"success": True, "name": "double", "version": 2, "action": "updated"}
    assert ask("run_skill", name="double", args={"n": 2})["version"] == 2
    assert ask("run_skill", name="double", args={"n": 2}, version=1)["version"] == 1
    assert save(code="result = n * 2")["version"] == 3


def test_another_description_and_other_tags_belong_to_the_version_there_is(ask: Ask, save: Ask) -> None:
    save(tags=["numbers", "numbers", "small"])
    ask("run_skill", name="double", args={"n": 1})
    assert save(description="twice")["action"] == "updated"
    note = listed(ask, "double")
    assert (note["version"], note["description"], note["tags"], note["run_count"]) == (
        1,
        "twice",
        ["numbers", "small"],
        1,
    )
    assert save(description="twice", tags=[])["version"] == 1
    assert listed(ask, "double")["tags"] == []


def test_code_that_does_not_compile_is_refused_with_its_line_and_not_kept(ask: Ask) -> None:
    for code, line in (("x = 1\nimport os\nx.__class__", 3), ("x = (", 1), ("class A(dict):\n    pass", 1)):
        reply = ask("save_skill", name="bad", code=code, description="bad")
        assert reply["code"] == "sandbox_rejected"
        assert reply["details"]["line"] == line
    assert ask("list_skills")["skills"] == []


def test_saving_runs_nothing_of_the_code(ask: Ask, save: Ask) -> None:
    save(code='create_entities([{"name": "x", "entityType": "y", "observations": []}])\nwhile True: pass')
    assert ask("open_nodes", names=["x"])["missing"] == ["x"]


def test_source_that_harms_the_compiler_is_refused_and_the_next_is_kept(ask: Ask, save: Ask) -> None:
    for code in ("(" * 5000, "-" * 100_000 + "1", "x" + ".x" * 20_000):
        reply = ask("save_skill", name="bad", code=code, description="bad")
        assert reply["code"].startswith("sandbox_"), reply
    assert ask("save_skill", name="bad", code="#" * (256 * 1024 + 1), description="bad")["code"] == "too_large"
    assert save()["version"] == 1


def test_runs_are_counted_for_the_version_that_ran_with_rate_time_and_last_error(ask: Ask, save: Ask) -> None:
    save(code="result = 10 / n")
    note = listed(ask, "double")
    assert (note["run_count"], note["success_rate"], note["mean_ms"], note["last_error"]) == (0, None, None, None)
    for n in (1, 0, 2, 5):
        ask("run_skill", name="double", args={"n": n})
    note = listed(ask, "double")
    assert (note["run_count"], note["success_rate"]) == (4, 0.75)
    assert note["mean_ms"] > 0
    assert note["last_error"] == "sandbox_error: line 1: ZeroDivisionError: division by zero"
    save(code="result = n")
    ask("run_skill", name="double", args={"n": 1})
    newest, older = ask("list_skills", name="double")["skills"]
    assert (newest["version"], newest["run_count"], newest["success_rate"], newest["last_error"]) == (2, 1, 1.0, None)
    assert (older["version"], older["run_count"], older["code"]) == (1, 4, "result = 10 / n")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("raise ValueError('x' * 1000)", "sandbox_error"),
        ("while True: pass", "sandbox_timeout"),
        ("x = 'x' * 10**10", "sandbox_memory"),
    ],
)
def test_a_failure_is_told_and_kept_without_a_trace(code: str, error: str, ask: Ask, save: Ask) -> None:
    save(code=code)
    assert ask("run_skill", name="double", timeout_s=0.3)["code"] == error
    note = listed(ask, "double")
    assert (note["run_count"], note["success_rate"]) == (1, 0.0)
    assert note["last_error"].startswith(f"{error}: ")
    assert len(note["last_error"]) <= 500
    assert "Traceback" not in note["last_error"]
    assert note["mean_ms"] >= 300 or error != "sandbox_timeout"


def test_a_run_that_never_began_is_not_counted(ask: Ask, save: Ask) -> None:
    save()
    for name in ("_hidden", "class", "print"):
        reply = ask("run_skill", name="double", args={name: 1})
        assert (reply["code"], reply["details"]["path"]) == ("invalid_params", f"args.{name}")
    assert ask("run_skill", name="double", timeout_s=31)["code"] == "invalid_params"
    assert listed(ask, "double")["run_count"] == 0


def test_skills_are_listed_by_name_in_pages_and_by_tag_without_their_code(ask: Ask, save: Ask) -> None:
    for name in ("c", "a", "b"):
        save(name, tags=["odd" if name == "b" else "even", "all"])
    save("a", "result = 0")
    first = ask("list_skills", limit=2)
    assert [(skill["name"], skill["version"]) for skill in first["skills"]] == [("a", 2), ("b", 1)]
    assert "code" not in first["skills"][0]
    ask("delete_skill", name="b")
    rest = ask("list_skills", limit=2, cursor=first["next_cursor"])
    assert [skill["name"] for skill in rest["skills"]] == ["c"]
    assert rest["next_cursor"] is None
    assert [skill["name"] for skill in ask("list_skills", tag="even")["skills"]] == ["a", "c"]
    assert ask("list_skills", tag="eve")["skills"] == []
    assert ask("list_skills", tag="all", name="a")["code"] == "invalid_params"


def test_the_versions_of_one_skill_come_in_pages_too(ask: Ask, save: Ask) -> None:
    for number in range(5):
        save(code=f"result = {number}")
    first = ask("list_skills", name="double", limit=3)
    assert [skill["version"] for skill in first["skills"]] == [5, 4, 3]
    rest = ask("list_skills", name="double", limit=3, cursor=first["next_cursor"])
    assert [(skill["version"], skill["code"]) for skill in rest["skills"]] == [(2, "result = 1"), (1, "result = 0")]
    assert rest["next_cursor"] is None


def test_a_deleted_skill_is_gone_and_saved_again_its_versions_go_on(ask: Ask, save: Ask) -> None:
    save()
    save(code="result = 1")
    assert ask("delete_skill", name="double") == {"success": True, "deleted": "double", "versions": 2}
    assert ask("run_skill", name="double")["code"] == "not_found"
    assert ask("list_skills")["skills"] == []
    assert save(code="result = 1") == {"success": True, "name": "double", "version": 3, "action": "created"}
    assert [skill["version"] for skill in ask("list_skills", name="double")["skills"]] == [3]
    assert ask("run_skill", name="double", version=2)["code"] == "not_found"


def test_what_is_not_there_is_named(ask: Ask, save: Ask) -> None:
    for method in ("run_skill", "delete_skill", "list_skills"):
        reply = ask(method, name="nothing")
        assert (reply["code"], reply["details"]) == ("not_found", {"skill": "nothing"})
    save()
    reply = ask("run_skill", name="double", version=7)
    assert (reply["code"], reply["details"]) == ("not_found", {"skill": "double", "version": 7})


def test_a_namespace_has_skills_of_its_own(ask: Ask, save: Ask) -> None:
    save()
    assert ask("run_skill", name="double", namespace="other")["code"] == "not_found"
    ask("save_skill", name="double", code="result = 'other'", description="x", namespace="other")
    assert ask("run_skill", name="double", namespace="other")["result"] == "other"
    assert listed(ask, "double")["run_count"] == 0


def test_a_skill_works_on_the_memories_and_its_writes_name_the_sandbox(ask: Ask, save: Ask, remember: Any) -> None:
    remember("Ann", "likes tea")
    save(code='for m in search_nodes(word):\n    add_observations([{"entityName": m["name"], "contents": [word]}])')
    reply = ask("run_skill", name="double", args={"word": "tea"})
    assert reply["operations"] == {"search_nodes": 1, "add_observations": 1}
    version = ask("memory_history", entity_name="Ann")["versions"][0]
    assert (version["author"], version["added"]) == ("sandbox", ["tea"])


def test_code_may_list_skills_but_neither_save_nor_run_nor_delete_one(ask: Ask, save: Ask) -> None:
    save()
    assert ask("execute_code", code="result = list_skills()['skills'][0]['name']")["result"] == "double"
    for name in ("save_skill", "run_skill", "delete_skill"):
        assert ask("execute_code", code=name)["details"]["type"] == "NameError"


def test_purging_drops_last_errors_which_may_quote_what_was_erased(ask: Ask, save: Ask, remember: Any) -> None:
    remember("Ann", "the code is 4711-0815-secret")
    save(code="raise ValueError(search_nodes('code')[0]['observations'][0])")
    ask("run_skill", name="double")
    assert "4711" in listed(ask, "double")["last_error"]
    ask("delete_skill", name="double")
    ask("purge_entities", entityNames=["Ann"], confirm=True)
    save(code="result = 1")
    database = Path(ask("ping")["database"])
    assert all(b"4711-0815" not in path.read_bytes() for path in database.parent.glob("memory.db*"))


def test_skills_outlive_the_service(tmp_path: Path) -> None:
    settings = Settings.load({"db_path": str(tmp_path / "memory.db")})
    for action in ("created", "unchanged"):
        service = MemoryDBService(settings)
        params = {"name": "one", "code": "result = 1", "description": "one", "tags": ["é"]}
        assert service.handle_request({"method": "save_skill", "params": params})["action"] == action
        [note] = service.handle_request({"method": "list_skills", "params": {"tag": "é"}})["skills"]
        assert note["tags"] == ["é"]
        service.close()


def test_a_run_that_finds_no_place_within_an_operations_time_is_busy_and_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_RUNS", 0)
    settings = Settings.load({"db_path": str(tmp_path / "memory.db"), "operation_timeout_s": 0.05})
    service = MemoryDBService(settings)
    for method, params in (
        ("execute_code", {"code": "result = 1"}),
        ("save_skill", {"name": "one", "code": "result = 1", "description": "one"}),
    ):
        reply = service.handle_request({"method": method, "params": params})
        assert (reply["code"], reply["error"]) == ("busy", "no place to run code came free within 0.05 seconds")
        assert "hint" in reply
    service.close()
