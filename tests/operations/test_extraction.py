"""Facts of a conversation, kept as memories."""

from __future__ import annotations

import json
import random
import sqlite3
import string
from pathlib import Path
from typing import Any

from enhanced_memory.service.dispatcher import MemoryDBService
from enhanced_memory.settings import Settings
from enhanced_memory.shapes import MAX_OBSERVATIONS

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


def test_the_reply_tells_how_many_facts_are_new_and_how_many_were_known(ask: Any) -> None:
    def told(text: str) -> tuple[int, int, int]:
        reply = ask("auto_extract_facts", conversation_text=text, session_id="s1")
        assert reply["stored"] is True
        assert len(reply["entity_ids"]) == len(reply["facts"]) == 1
        return reply["count"], reply["new_count"], reply["known_count"]

    assert told(TALK) == (3, 3, 0)
    assert told(TALK) == (3, 0, 3)
    assert told(f"{TALK}\nuser: I prefer dark themes in every editor.") == (4, 1, 3)
    assert "new_count" not in ask("auto_extract_facts", conversation_text=TALK, auto_store=False)


def test_a_repeated_call_leaves_what_was_made_of_its_entity(ask: Any) -> None:
    name = ask("auto_extract_facts", conversation_text=TALK, session_id="s1")["facts"][0]["name"]
    ask("update_entity", entityName=name, entityType="habits")
    ask("auto_extract_facts", conversation_text=TALK, session_id="s1")
    assert ask("open_nodes", names=[name])["entities"][0]["entityType"] == "habits"


def test_more_facts_of_one_speaker_than_an_entity_holds_are_all_kept_in_further_ones(ask: Any) -> None:
    def facts(first: int, last: int) -> str:
        return "".join(f"Ann: I prefer tool {number}.\n" for number in range(first, last))

    def told(text: str, **how: Any) -> tuple[dict[str, int], int, int]:
        reply = ask("auto_extract_facts", conversation_text=text, session_id="s1", **how)
        sizes = {fact["name"]: len(fact["observations"]) for fact in reply["facts"]}
        assert reply["count"] == sum(sizes.values()) == sum(len(fact["evidence"]) for fact in reply["facts"])
        return sizes, reply.get("new_count", 0), len(set(reply["entity_ids"]))

    one, two = "auto-extracted-s1:Ann", "auto-extracted-s1:Ann #2"
    assert told(facts(0, 10_003), auto_store=False) == ({one: MAX_OBSERVATIONS, two: 3}, 0, 0)
    assert told(facts(0, 10_003)) == ({one: MAX_OBSERVATIONS, two: 3}, 10_003, 2)
    assert told(facts(0, 10_003)) == ({one: MAX_OBSERVATIONS, two: 3}, 0, 2)
    assert told(facts(9_998, 10_006)) == ({one: 2, two: 6}, 3, 2)
    kept = [entity["observations"] for entity in ask("open_nodes", names=[one, two])["entities"]]
    assert sorted(map(len, kept)) == [6, MAX_OBSERVATIONS]
    assert len({text for texts in kept for text in texts}) == 10_006


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


def _random(count: int, signs: str, seed: int) -> str:
    chance = random.Random(seed)
    return "".join(chance.choices(signs, k=count))


def fifty_secrets() -> list[tuple[str, str]]:
    """Sentences a user may say, each with the secret in it: five of each of ten kinds, put together at random."""
    alphanumeric, upper, hexadecimal = (
        string.ascii_letters + string.digits,
        string.ascii_uppercase + "234567",
        "0123456789abcdef",
    )
    found = []
    for seed in range(5):

        def some(count: int, signs: str = alphanumeric, seed: int = seed) -> str:
            return _random(count, signs, seed + count)

        jwt = f"eyJ{some(20)}.eyJ{some(40)}.{some(43)}"
        card = (
            "4111 1111 1111 1111",
            "5500-0055-5555-5559",
            "378282246310005",
            "6011000990139424",
            "4012888888881881",
        )[seed]
        password = f"{('Tr0ub4dor', 'hunter2', 'correcthorse9', 'Sommer', 'x9Kq')[seed]}{seed}!zQ"
        found += [
            (f"We always use the key {'AK' + 'IA'}{some(16, upper)} for backups.", some(16, upper)),
            (f"I always push with the token gh{'p'}_{some(36)} from my laptop.", some(36)),
            (f"We deploy with the bot token {'xo' + 'xb'}-{some(12, string.digits)}-{some(24)} on Fridays.", some(24)),
            (f"Always charge with {'sk'}_live_{some(26)} in production.", some(26)),
            (f"I use the OpenAI key {'sk'}-proj-4{some(40)} at work.", some(40)),
            (f"We always send the header Authorization: Bearer {jwt} to the gateway.", some(43)),
            (f"I always pay with my card {card}.", card),
            (f"My password for the server is {password} and I never change it.", password),
            (f"We use the database postgres://admin:{password}x@db.internal:5432/app for tests.", f"{password}x"),
            (
                f"I keep the key here: -----BEGIN {'RSA PRIVATE'} KEY-----\n{some(64, hexadecimal)}\n"
                f"-----END {'RSA PRIVATE'} KEY----- and we always use it.",
                some(64, hexadecimal),
            ),
        ]
    return found


def everything_stored(service: MemoryDBService, folder: Path) -> bytes:
    """The bytes of all of the database's files, and what its blobs hold when they are unpacked."""
    entities = service.handle_request({"method": "read_graph", "params": {"limit": 1000}})
    history = [
        service.handle_request({"method": "memory_history", "params": {"entity_name": entity["name"]}})
        for entity in entities["entities"]
    ]
    files = b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())
    return files + json.dumps([entities, history], ensure_ascii=False).encode()


def test_of_fifty_planted_secrets_none_is_stored(ask: Any, service: MemoryDBService, tmp_path: Path) -> None:
    planted = fifty_secrets()
    assert len({secret for _, secret in planted}) == 50
    talk = "\n".join(f"user: {sentence}" for sentence, _ in planted)
    reply = ask("auto_extract_facts", conversation_text=talk, session_id="s1", threshold=0.0)
    assert reply["stored"] is True
    assert reply["count"] == 10  # of each kind, the five sentences are the same without their secrets
    assert sum(reply["secrets"].values()) >= 50
    stored = everything_stored(service, tmp_path) + json.dumps(reply, ensure_ascii=False).encode()
    assert [secret for _, secret in planted if secret.encode() in stored] == []


def test_a_secret_in_the_note_or_the_name_of_the_session_is_not_stored(
    ask: Any, service: MemoryDBService, tmp_path: Path
) -> None:
    secret = _random(36, string.ascii_letters + string.digits, 5)
    label = f"gh{'p'}_{secret}"
    first = ask("auto_extract_facts", conversation_text=TALK, session_id=label, extraction_context=f"from {label}")
    other = ask("auto_extract_facts", conversation_text=TALK, session_id=f"{label}x")
    assert first["facts"][0]["name"] != other["facts"][0]["name"]
    assert secret.encode() not in everything_stored(service, tmp_path) + json.dumps([first, other]).encode()


def test_masking_can_be_switched_off(tmp_path: Path) -> None:
    service = MemoryDBService(Settings.load({"db_path": str(tmp_path / "m.db")}, {"MEMORY_MASK_SECRETS": "0"}))
    talk = "user: I always pay with my card 4111 1111 1111 1111."
    reply = service.handle_request({"method": "auto_extract_facts", "params": {"conversation_text": talk}})
    service.close()
    assert (reply["secrets"], "4111 1111" in texts(reply)) == ({}, True)


def test_where_one_speakers_facts_cannot_be_added_nothing_of_the_others_is_stored(
    ask: Any, service: MemoryDBService
) -> None:
    ask("auto_extract_facts", conversation_text="Bob: I prefer tea.", session_id="s1")
    with sqlite3.connect(service.settings.db_path) as db:
        db.execute("UPDATE entities SET compressed_data = x'00'")
    talk = "Ann: I prefer water.\nBob: I prefer coffee."
    assert ask("auto_extract_facts", conversation_text=talk, session_id="s1")["code"] == "corrupt"
    assert ask("get_memory_status")["total_entities"] == 1
