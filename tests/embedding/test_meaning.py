"""Search by meaning, through the service, with a small model of the tests' own."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from enhanced_memory.service.dispatcher import MemoryDBService
from tests.conftest import PATIENCE_S, PROMPTLY_S
from tests.embedding.conftest import Bag, OpenService, asking
from tests.operations.conftest import Ask


def entity(name: str, *observations: str) -> dict[str, Any]:
    return {"name": name, "entityType": "thing", "observations": list(observations)}


def all_made(ask: Ask) -> dict[str, Any]:
    """Wait until every observation has its vector; gives the figures."""
    until = time.monotonic() + PROMPTLY_S
    figures: dict[str, Any] = {}
    while time.monotonic() < until:
        figures = ask("get_memory_status")["vectors"]
        if figures["done"] == figures["total"] and figures["model"] != "minilm":
            ask(
                "delete_entities", entityNames=["nobody"]
            )  # it is committed after the vectors, which were counted early
            return figures
    raise AssertionError(f"vectors are still missing: {figures}")


def names(reply: dict[str, Any]) -> list[str]:
    return [result["name"] for result in reply["results"]]


@pytest.fixture
def model() -> Bag:
    """The model of the service."""
    return Bag()


@pytest.fixture
def ask(open_service: OpenService, model: Bag) -> Ask:
    """A service with vectors, on three memories that have them."""
    asked = asking(open_service(model))
    asked(
        "create_entities",
        entities=[
            entity("Ann", "Ann bought an automobile", "Ann visits her physician"),
            entity("Bob", "Bob feeds a kitty"),
            entity("PRJ-120", "the invoice PRJ-00120/v3.1 is due"),
        ],
    )
    all_made(asked)
    return asked


def test_a_memory_is_found_that_shares_no_word_with_the_question(ask: Ask) -> None:
    assert names(ask("search_nodes", query="car", mode="lexical")) == []
    found = ask("search_nodes", query="car")
    assert found["mode"] == "hybrid"
    assert names(found)[0] == "Ann"
    assert found["results"][0]["matches"][0]["index"] == 0


def test_by_meaning_alone_words_do_not_count(ask: Ask) -> None:
    found = ask("search_nodes", query="a feline", mode="semantic", explain=True)
    assert found["mode"] == "semantic"
    assert names(found)[0] == "Bob"
    explained = found["results"][0]["explanation"][0]
    assert explained["text"] == 0.0
    assert explained["meaning"] > 0.0


def test_a_code_is_found_first_with_meaning_too(ask: Ask) -> None:
    assert names(ask("search_nodes", query="PRJ-00120/v3.1"))[0] == "PRJ-120"


def test_a_query_of_codes_alone_is_not_searched_by_meaning(ask: Ask, model: Bag) -> None:
    read = len(model.texts)
    assert names(ask("search_nodes", query="rn000120x car7")) == []
    assert len(model.texts) == read


def test_what_means_nothing_like_it_is_not_found(ask: Ask) -> None:
    assert names(ask("search_nodes", query="zeppelin")) == []


def test_filters_and_excluded_words_hold_for_what_is_found_by_meaning(ask: Ask) -> None:
    assert names(ask("search_nodes", query="car -automobile")) == []
    assert names(ask("search_nodes", query="car", entity_type="person")) == []
    assert names(ask("search_nodes", query="car", namespaces=["elsewhere"])) == []


def test_what_has_faded_is_found_by_meaning_too_unless_what_is_relevant_is_asked_for(ask: Ask) -> None:
    for name, relevance in (("Old", 0.1), ("New", 1.0)):
        said = {"name": name, "entityType": "note", "observations": ["the automobile is red"]}
        ask("create_entities", entities=[{**said, "relevance_score": relevance}])
    all_made(ask)
    for mode in ("hybrid", "semantic"):
        assert {"Old", "New"} <= set(names(ask("search_nodes", query="car", mode=mode)))
        relevant = names(ask("search_nodes", query="car", mode=mode, min_relevance=0.9))
        assert "New" in relevant
        assert "Old" not in relevant


def test_a_deleted_observation_is_no_longer_found_and_its_successor_is(ask: Ask) -> None:
    ask("delete_observations", deletions=[{"entityName": "Ann", "observations": ["Ann bought an automobile"]}])
    assert names(ask("search_nodes", query="car", mode="semantic")) == []
    ask("add_observations", observations=[{"entityName": "Ann", "contents": ["Ann likes her feline"]}])
    assert all_made(ask) == {"model": "bag", "done": 4, "total": 4}
    assert set(names(ask("search_nodes", query="cat", mode="semantic"))) == {"Ann", "Bob"}


def test_vectors_of_other_namespaces_are_made_and_stay_there(ask: Ask) -> None:
    ask("create_entities", namespace="work", entities=[entity("Van", "an automobile for the office")])
    all_made(ask)
    assert names(ask("search_nodes", query="car", namespace="work", mode="semantic")) == ["Van"]
    assert "Van" not in names(ask("search_nodes", query="car", mode="semantic"))


def test_a_purged_entity_leaves_no_vector(ask: Ask, open_service: OpenService) -> None:
    ask("purge_entities", entityNames=["Ann"], confirm=True)
    assert all_made(ask) == {"model": "bag", "done": 2, "total": 2}


def test_what_was_written_without_vectors_gets_them_at_the_next_start(open_service: OpenService) -> None:
    plain = asking(open_service(None))
    plain("create_entities", entities=[entity("Ann", "Ann bought an automobile")])
    assert "vectors" not in plain("get_memory_status")
    ask = asking(open_service(Bag()))
    assert all_made(ask) == {"model": "bag", "done": 1, "total": 1}
    assert names(ask("search_nodes", query="car")) == ["Ann"]


def test_another_model_makes_every_vector_anew_and_the_same_one_none(ask: Ask, open_service: OpenService) -> None:
    same = Bag()
    all_made(asking(open_service(same)))
    assert same.texts == []
    other = Bag("another")
    assert all_made(asking(open_service(other))) == {"model": "another", "done": 4, "total": 4}
    assert len(other.texts) == 4


def test_what_is_embedded_has_no_label_and_no_date(open_service: OpenService) -> None:
    model = Bag()
    ask = asking(open_service(model))
    ask("create_entities", entities=[entity("talk", "8 May 2023 Ann: Hey Bob, I bought a car, Bob!")])
    all_made(ask)
    assert model.texts == ["Hey, I bought a car!"]
    ask("search_nodes", query="What did Ann buy?")
    assert model.texts[-1] == "What did I buy?"


class Slow(Bag):
    """A model that reads memories only when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        if threading.current_thread().name == "vectors":
            assert self.may.wait(PROMPTLY_S)
        return super().embed(texts)


def test_a_search_works_before_the_vectors_are_there(open_service: OpenService) -> None:
    model = Slow()
    ask = asking(open_service(model))
    ask("create_entities", entities=[entity("Ann", "Ann bought an automobile")])
    assert names(ask("search_nodes", query="automobile")) == ["Ann"]
    assert ask("get_memory_status")["vectors"]["done"] == 0
    model.may.set()
    all_made(ask)
    assert names(ask("search_nodes", query="car")) == ["Ann"]


class Broken(Bag):
    """A model that fails."""

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        raise RuntimeError("no such operator")


def test_a_model_that_fails_leaves_the_search_by_words(open_service: OpenService) -> None:
    service: MemoryDBService = open_service(Broken())
    ask = asking(service)
    ask("create_entities", entities=[entity("Ann", "Ann bought an automobile")])
    until = time.monotonic() + PROMPTLY_S
    while service.meaning is not None and service.meaning.is_working and time.monotonic() < until:
        pass
    found = ask("search_nodes", query="automobile")
    assert (found["mode"], names(found)) == ("lexical", ["Ann"])
    reply = service.handle_request({"method": "search_nodes", "params": {"query": "car", "mode": "semantic"}})
    assert reply["code"] == "busy"


def test_where_vectors_are_off_asking_for_them_is_a_clear_error_and_numpy_stays_out(open_service: OpenService) -> None:
    service = open_service(None)
    reply = service.handle_request({"method": "search_nodes", "params": {"query": "car", "mode": "hybrid"}})
    assert (reply["code"], reply["details"]) == ("invalid_params", {"path": "mode"})
    path = service.settings.db_path
    service.close()
    script = f"""
import sys
from enhanced_memory.service.dispatcher import MemoryDBService
from enhanced_memory.settings import Settings
service = MemoryDBService(Settings.load({{"db_path": {path!r}, "semantic": "off"}}))
assert service.handle_request({{"method": "search_nodes", "params": {{"query": "car"}}}})["mode"] == "lexical"
service.close()
print(sorted({{"numpy", "onnxruntime"}} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.stdout == "[]\n", done.stderr
