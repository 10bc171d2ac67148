"""Facts of a conversation, kept as memories."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from enhanced_memory.service.dispatcher import MemoryDBService

TALK = """user: Always run the linter before committing.
assistant: Sure, I will.
user: Could you tell me a joke? We deploy from main on Thursdays.
user: <private>I prefer being paid in cash.</private>
user: Don't use tabs in this repository."""


def texts(reply: dict[str, Any]) -> str:
    return json.dumps([fact["observations"] for fact in reply["facts"]])


def test_facts_are_found_stored_and_searchable(ask: Any) -> None:
    reply = ask("auto_extract_facts", conversation_text=TALK, session_id="s1")
    assert reply["stored"] is True
    assert reply["count"] == sum(len(fact["observations"]) for fact in reply["facts"]) == 3
    assert all(fact["entityType"] == "auto_extracted" for fact in reply["facts"])
    assert "joke" not in texts(reply)
    assert "cash" not in texts(reply)
    found = ask("search_nodes", query="when do we deploy")["results"][0]
    assert found["id"] in reply["entity_ids"]
    assert ask("get_memory_status")["auto_extracted_count"] == len(reply["entity_ids"])


def test_a_repeated_call_changes_nothing_and_a_further_one_adds(ask: Any) -> None:
    first = ask("auto_extract_facts", conversation_text=TALK, session_id="s1")
    name = first["facts"][0]["name"]
    ask("auto_extract_facts", conversation_text=TALK, session_id="s1")
    assert ask("memory_history", entity_name=name)["versions"][0]["version"] == 1
    ask("auto_extract_facts", conversation_text="user: I prefer dark themes in every editor.", session_id="s1")
    assert ask("memory_history", entity_name=name)["versions"][0]["version"] == 2


def test_nothing_is_stored_where_that_is_not_wanted(ask: Any) -> None:
    reply = ask("auto_extract_facts", conversation_text=TALK, auto_store=False)
    assert (reply["stored"], reply["entity_ids"]) == (False, [])
    assert ask("get_memory_status")["total_entities"] == 0


def test_evidence_names_the_line_and_the_span(ask: Any) -> None:
    reply = ask("auto_extract_facts", conversation_text=TALK, auto_store=False)
    for fact in reply["facts"]:
        assert len(fact["observations"]) == len(fact["evidence"])
        for observation, evidence in zip(fact["observations"], fact["evidence"], strict=True):
            start, end = evidence["span"]
            assert TALK[start:end] in observation
            assert TALK[:start].count("\n") + 1 == evidence["line"]


def test_secrets_are_replaced_before_anything_is_stored(service: MemoryDBService, ask: Any) -> None:
    secret = "sk-ant-api03-" + "Zq9" * 31 + "AA"
    reply = ask("auto_extract_facts", conversation_text=f"user: I always use the key {secret} for the deploy script.")
    assert sum(reply["secrets"].values()) == 1
    folder = Path(service.settings.db_path).parent
    assert all(secret.encode() not in file.read_bytes() for file in folder.iterdir())
    assert secret not in json.dumps(reply)


def test_a_model_that_is_not_there_is_a_clear_error(ask: Any) -> None:
    assert ask("auto_extract_facts", conversation_text="x", extractor="llm")["code"] == "invalid_params"
