"""Any sequence of changes against a plain model in memory: every version, branch and moment must agree with it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from enhanced_memory.service.dispatcher import MemoryDBService
from enhanced_memory.settings import Settings

WORDS = [f"fact {n}" for n in range(8)]
NAMES = ["Ann", "Bob", "Cy"]
BRANCHES = ["main", "one", "two"]

Content = tuple[str, tuple[str, ...]]


@dataclass
class Entity:
    """The model of one entity: contents by version, parents, branch heads, and what reads see."""

    name: str
    contents: dict[int, Content]
    parents: dict[int, list[int]]
    heads: dict[str, int]
    branch: str = "main"
    deleted: bool = False
    seen: list[tuple[str, str | None, Content]] = field(default_factory=list)

    @property
    def current(self) -> Content:
        return self.contents[self.heads[self.branch]]

    def append(self, branch: str, content: Content, *more_parents: int) -> None:
        number = max(self.contents) + 1
        self.contents[number] = content
        self.parents[number] = [self.heads[branch], *more_parents]
        self.heads[branch] = number

    def ancestors(self, version: int) -> set[int]:
        found: set[int] = set()
        waiting = [version]
        while waiting:
            number = waiting.pop()
            if number not in found:
                found.add(number)
                waiting += self.parents[number]
        return found


class History(RuleBasedStateMachine):
    """The service and the model, changed in step."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(prefix="em-model-")
        self._service = MemoryDBService(Settings.load({"db_path": str(Path(self._folder.name) / "m.db")}, {}))
        self.live: dict[str, Entity] = {}
        self.gone: dict[str, list[Entity]] = {}
        self.moments: list[tuple[str, dict[str, Content]]] = []

    def teardown(self) -> None:
        self._service.close()
        self._folder.cleanup()

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        reply = self._service.handle_request({"method": method, "params": params})
        assert reply["success"], (method, params, reply)
        return reply

    def note_moment(self) -> None:
        """Remember what stands now under the time of the newest write."""
        stamp = self._service._store.write(lambda tx: tx.now, "default", 5.0)
        self.moments.append((stamp, {name: entity.current for name, entity in self.live.items()}))

    @initialize()
    def begin(self) -> None:
        self.create("Ann", ["fact 0"])

    @rule(name=st.sampled_from(NAMES), facts=st.lists(st.sampled_from(WORDS), unique=True))
    def create(self, name: str, facts: list[str]) -> None:
        if name in self.live:
            return
        entity = {"name": name, "entityType": "thing", "observations": facts}
        version = self.ask("create_entities", entities=[entity])["results"][0]["version"]
        content = ("thing", tuple(facts))
        former = self.gone.get(name)
        if former:
            again = former.pop()
            again.append(again.branch, content)
            again.deleted = False
            self.live[name] = again
        else:
            self.live[name] = Entity(name, {1: content}, {1: []}, {"main": 1})
        assert version == max(self.live[name].contents)
        self.note_moment()

    def some(self, name: str) -> Entity | None:
        return self.live.get(name)

    @rule(name=st.sampled_from(NAMES), branch=st.sampled_from(BRANCHES), facts=st.lists(st.sampled_from(WORDS)))
    def add(self, name: str, branch: str, facts: list[str]) -> None:
        entity = self.some(name)
        if entity is None or branch not in entity.heads:
            return
        self.ask("add_observations", observations=[{"entityName": name, "contents": facts}], branch=branch)
        kind, old = entity.contents[entity.heads[branch]]
        new = tuple(dict.fromkeys([*old, *facts]))
        if new != old:
            entity.append(branch, (kind, new))
        self.note_moment()

    @rule(name=st.sampled_from(NAMES), branch=st.sampled_from(BRANCHES), facts=st.lists(st.sampled_from(WORDS)))
    def remove(self, name: str, branch: str, facts: list[str]) -> None:
        entity = self.some(name)
        if entity is None or branch not in entity.heads:
            return
        self.ask("delete_observations", deletions=[{"entityName": name, "observations": facts}], branch=branch)
        kind, old = entity.contents[entity.heads[branch]]
        new = tuple(text for text in old if text not in facts)
        if new != old:
            entity.append(branch, (kind, new))
        self.note_moment()

    @rule(name=st.sampled_from(NAMES), facts=st.permutations(WORDS), count=st.integers(0, 8))
    def replace(self, name: str, facts: list[str], count: int) -> None:
        entity = self.some(name)
        if entity is None:
            return
        given = {"name": name, "entityType": "other", "observations": facts[:count]}
        self.ask("create_entities", entities=[given], on_existing="replace")
        content = ("other", tuple(facts[:count]))
        if content != entity.current:
            entity.append(entity.branch, content)
        self.note_moment()

    @rule(name=st.sampled_from(NAMES), to=st.sampled_from([*NAMES, "Di"]))
    def rename(self, name: str, to: str) -> None:
        entity = self.some(name)
        if entity is None or to in self.live:
            return
        self.ask("update_entity", entityName=name, name=to)
        entity.append(entity.branch, entity.current)
        del self.live[name]
        entity.name = to
        self.live[to] = entity
        self.note_moment()

    @rule(name=st.sampled_from([*NAMES, "Di"]))
    def delete(self, name: str) -> None:
        entity = self.some(name)
        if entity is None:
            return
        self.ask("delete_entities", entityNames=[name])
        entity.append(entity.branch, entity.current)
        entity.deleted = True
        del self.live[name]
        self.gone.setdefault(name, []).append(entity)
        self.note_moment()

    @rule(name=st.sampled_from([*NAMES, "Di"]), dice=st.integers(0, 1000))
    def revert(self, name: str, dice: int) -> None:
        entity = self.live.get(name) or next(reversed(self.gone.get(name, [])), None)
        if entity is None:
            return
        version = sorted(entity.contents)[dice % len(entity.contents)]
        self.ask("memory_revert", entity_name=name, version=version)
        entity.append(entity.branch, entity.contents[version])
        if entity.deleted:
            entity.deleted = False
            self.gone[name].pop()
            self.live[name] = entity
        self.note_moment()

    @rule(
        name=st.sampled_from(NAMES),
        branch=st.sampled_from(BRANCHES[1:]),
        dice=st.integers(0, 1000),
        checkout=st.booleans(),
    )
    def branch(self, name: str, branch: str, dice: int, checkout: bool) -> None:
        entity = self.some(name)
        if entity is None or branch in entity.heads:
            return
        version = sorted(entity.contents)[dice % len(entity.contents)]
        self.ask("memory_branch", entity_name=name, branch_name=branch, from_version=version, checkout=checkout)
        entity.heads[branch] = version
        if checkout:
            entity.branch = branch
        self.note_moment()

    @rule(name=st.sampled_from(NAMES), branch=st.sampled_from(BRANCHES))
    def check_out(self, name: str, branch: str) -> None:
        entity = self.some(name)
        if entity is None or branch not in entity.heads:
            return
        self.ask("memory_checkout", entity_name=name, branch_name=branch)
        entity.branch = branch
        self.note_moment()

    @rule(name=st.sampled_from(NAMES), branch=st.sampled_from(BRANCHES[1:]))
    def drop_branch(self, name: str, branch: str) -> None:
        entity = self.some(name)
        if entity is None or branch not in entity.heads or branch == entity.branch:
            return
        self.ask("delete_branch", entity_name=name, branch_name=branch)
        del entity.heads[branch]

    @rule(name=st.sampled_from(NAMES), source=st.sampled_from(BRANCHES), into=st.sampled_from(BRANCHES))
    def merge(self, name: str, source: str, into: str) -> None:
        target = into
        entity = self.some(name)
        if entity is None or source == target or not {source, target} <= entity.heads.keys():
            return
        reply = self.ask("memory_merge", entity_name=name, source_branch=source, target_branch=target, prefer="source")
        ours, theirs = entity.heads[target], entity.heads[source]
        if theirs in entity.ancestors(ours):
            assert reply["new_version"] is None
            return
        base = max(entity.ancestors(ours) & entity.ancestors(theirs))
        (base_kind, base_facts), (our_kind, our_facts), (their_kind, their_facts) = (
            entity.contents[number] for number in (base, ours, theirs)
        )
        kept = [f for f in our_facts if f in their_facts or f not in base_facts]
        new = kept + [f for f in their_facts if f not in base_facts and f not in our_facts]
        kind = our_kind if their_kind in (our_kind, base_kind) else their_kind
        entity.append(target, (kind, tuple(new)), theirs)
        assert reply["new_version"] == entity.heads[target]
        self.note_moment()

    @invariant()
    def what_stands_is_the_models(self) -> None:
        graph = self.ask("read_graph", limit=100)
        found = {e["name"]: (e["entityType"], tuple(e["observations"])) for e in graph["entities"]}
        assert found == {name: entity.current for name, entity in self.live.items()}

    @precondition(lambda self: self.moments)
    @rule(dice=st.integers(0, 10_000))
    def a_moment_is_the_models(self, dice: int) -> None:
        stamp, expected = self.moments[dice % len(self.moments)]
        graph = self.ask("read_graph", limit=100, as_of=stamp)
        assert {e["name"]: (e["entityType"], tuple(e["observations"])) for e in graph["entities"]} == expected
        opened = self.ask("open_nodes", names=[*NAMES, "Di"], as_of=stamp)["entities"]
        assert {e["name"]: (e["entityType"], tuple(e["observations"])) for e in opened} == expected

    @rule(name=st.sampled_from([*NAMES, "Di"]))
    def every_version_is_the_models(self, name: str) -> None:
        entity = self.live.get(name)
        if entity is None:
            return
        notes = self.ask("memory_history", entity_name=name, limit=1000)["versions"]
        assert [note["version"] for note in notes] == sorted(entity.contents, reverse=True)
        for note in notes:
            parents = [p for p in (note["parent"], note.get("merge_parent")) if p is not None]
            assert parents == entity.parents[note["version"]]
        for version, (kind, facts) in entity.contents.items():
            seen = self.ask("memory_diff", entity_name=name, version2=version)["version2"]
            assert (seen["entityType"], tuple(seen["observations"])) == (kind, facts)


@pytest.mark.slow
class TestHistory(History.TestCase):  # type: ignore[misc,valid-type]
    """Hypothesis runs the machine as a test."""

    settings = settings(
        max_examples=40,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
