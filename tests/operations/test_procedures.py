"""Code over memories, as a caller meets it."""

from __future__ import annotations

from typing import Any


def test_the_guides_example_counts_what_a_search_finds(ask: Any, remember: Any) -> None:
    remember("test one", "a test", "b", "c")
    remember("test two", "a test")
    code = """
results = search_nodes("test", limit=100)
filtered = [r for r in results if len(r['observations']) > 2]
result = {"count": len(filtered)}
print("looked at", len(results))
"""
    reply = ask("execute_code", code=code)
    assert (reply["result"], reply["stdout"], reply["operations"]) == (
        {"count": 1},
        "looked at 2\n",
        {"search_nodes": 1},
    )


def test_what_code_writes_is_stored_and_names_the_sandbox_as_its_author(ask: Any) -> None:
    code = 'result = create_entities([{"name": n, "entityType": "made", "observations": [n * 3]} for n in names])'
    reply = ask("execute_code", code=code, context_vars={"names": ["a", "b"]})
    assert [each["action"] for each in reply["result"]["results"]] == ["created", "created"]
    assert ask("memory_history", entity_name="a")["versions"][0]["author"] == "sandbox"


def test_every_change_that_code_makes_to_an_entity_names_the_sandbox_and_stays_manual(ask: Any, remember: Any) -> None:
    remember("Ann", "likes tea", "lives in Graz")
    code = """
create_entities([{"name": "Ann", "entityType": "person", "observations": ["plays chess"]}])
add_observations([{"entityName": "Ann", "contents": ["speaks French"]}])
delete_observations([{"entityName": "Ann", "observations": ["likes tea"]}])
update_entity("Ann", name="Anna")
memory_commit("Anna", "as it is", author="somebody else")
memory_branch("Anna", "proposal", checkout=False)
add_observations([{"entityName": "Anna", "contents": ["proposed"]}], branch="proposal")
memory_merge("Anna", "proposal")
memory_revert("Anna", 2)
delete_entities(["Anna"])
memory_revert("Anna", 3)
auto_extract_facts("user: Always run the linter before committing.", session_id="talk")
result = [e["name"] for e in read_graph()["entities"]]
"""
    assert ask("execute_code", code=code)["result"] == ["Anna", "auto-extracted-talk"]
    versions = ask("memory_history", entity_name="Anna", limit=50)["versions"]
    assert len(versions) >= 10
    assert {version["author"] for version in versions if version["version"] > 1} == {"sandbox"}
    assert {version["method"] for version in versions} == {"manual"}
    [extracted] = ask("memory_history", entity_name="auto-extracted-talk")["versions"]
    assert (extracted["author"], extracted["method"], extracted["session"]) == ("sandbox", "auto", "talk")


def test_a_read_only_run_has_no_operation_that_writes(ask: Any) -> None:
    reply = ask("execute_code", code="create_entities([])", read_only=True)
    assert reply["code"] == "sandbox_error"
    assert ask("execute_code", code="result = search_nodes('x')", read_only=True)["result"] == []


def test_administrative_operations_are_not_there(ask: Any) -> None:
    for name in ("purge_entities", "import_graph", "export_graph", "execute_code"):
        assert ask("execute_code", code=f"{name}")["code"] == "sandbox_error"


def test_a_failure_of_an_operation_can_be_caught_and_tells_its_code(ask: Any) -> None:
    code = """
try:
    memory_history("nobody")
except Exception as error:
    result = error.code
"""
    assert ask("execute_code", code=code)["result"] == "not_found"


def test_an_error_names_the_line_and_the_message_of_the_users_own_code(ask: Any) -> None:
    reply = ask("execute_code", code="x = 1\ny = x / 0")
    assert (reply["code"], reply["details"]["line"], reply["details"]["type"]) == (
        "sandbox_error",
        2,
        "ZeroDivisionError",
    )


def test_code_that_reaches_for_files_is_refused_or_fails(ask: Any) -> None:
    assert ask("execute_code", code="result = open('/etc/passwd').read()")["code"] == "sandbox_error"
    assert ask("execute_code", code="import os")["code"] == "sandbox_error"


def test_endless_code_is_ended_and_the_next_call_answered(ask: Any) -> None:
    assert ask("execute_code", code="while True: pass", timeout_s=0.3)["code"] == "sandbox_timeout"
    assert ask("execute_code", code="result = 1")["result"] == 1
