"""The register of operations, where it is loaded piece by piece."""

from __future__ import annotations

import subprocess
import sys

import pytest

from enhanced_memory.errors import UnknownMethod
from enhanced_memory.registry import find, is_loaded, operations
from tests.conftest import PATIENCE_S

pytestmark = pytest.mark.process


_ALONE = """
import sys
from enhanced_memory.registry import find, operations
find("ping")
find("search_nodes")
print([name for name in ("enhanced_memory.rules.judging", "enhanced_memory.rules.extraction") if name in sys.modules])
print(len(operations()))
"""

_TOGETHER = """
import sys, threading
from enhanced_memory import registry

declared, go_on, order, operation = threading.Event(), threading.Event(), [], registry.operation

def stopping(**given):  # loading stops behind the first operation of a module
    def register(handler):
        operation(**given)(handler)
        if handler.__name__ == "create_entities":
            declared.set()
            go_on.wait(10)
            order.append("loaded")
        return handler
    return register

def ask():
    registry.find("create_entities")
    order.append("found")

registry.operation = stopping
loading, asking = threading.Thread(target=registry.operations), threading.Thread(target=ask)
loading.start()
declared.wait(10)
asking.start()
asking.join(0.3)
go_on.set()
asking.join(10)
loading.join(10)
print(*order)
"""


_WITHOUT_DESCRIPTORS = """
import os, resource
from enhanced_memory import registry
from enhanced_memory.errors import Busy
registry.load_first()
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
taken = []
try:
    while True:
        taken.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
for name in ("create_entities", "list_conflicts", "auto_extract_facts"):
    try:
        print(registry.find(name).name)
    except Busy as error:
        print(error.code)
for descriptor in taken:
    os.close(descriptor)
print(registry.find("list_conflicts").name, len(registry.operations()))
"""


def printed(program: str) -> list[str]:
    """The lines that a program prints in an interpreter of its own, where nothing is loaded yet."""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    return ran.stdout.splitlines()


def test_what_a_start_is_asked_first_loads_no_judging_and_no_extraction() -> None:
    assert printed(_ALONE) == ["[]", str(len(operations()))]


def test_a_thread_gets_no_operation_whose_module_another_has_loaded_in_half() -> None:
    assert printed(_TOGETHER) == ["loaded found"]


def test_without_a_descriptor_what_is_not_loaded_is_busy_and_is_there_afterwards() -> None:
    assert printed(_WITHOUT_DESCRIPTORS) == [
        "create_entities",
        "busy",
        "busy",
        f"list_conflicts {len(operations())}",
    ]


def test_operations_are_listed_module_by_module_in_the_order_of_their_lines() -> None:
    places = [(each.handler.__module__, each.handler.__code__.co_firstlineno) for each in operations().values()]
    modules = list(dict.fromkeys(module for module, _ in places))
    assert places == sorted(places, key=lambda place: (modules.index(place[0]), place[1]))
    assert is_loaded(next(iter(operations())))
    assert not is_loaded("no_such_operation")
    assert find("ping") is operations()["ping"]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("serch_nodes", "search_nodes"),
        ("searchnodes", "search_nodes"),
        ("searchNodes", "search_nodes"),
        ("create_entity", "create_entities"),
        ("add-observation", "add_observations"),
        ("get_status", "get_memory_status"),
        ("history", "memory_history"),
        ("merge_entities", None),
        ("drop_everything", None),
        ("entities_merge_all", None),
        ("___", None),
    ],
)
def test_only_a_name_that_is_near_is_suggested_for_one_that_is_none(name: str, nearest: str | None) -> None:
    with pytest.raises(UnknownMethod) as refused:
        find(name)
    listing = "`describe` lists every operation"
    assert refused.value.hint == (listing if nearest is None else f"did you mean {nearest}? {listing}")
