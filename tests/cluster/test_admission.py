"""Which workers a pool lets work, whatever the order in which they answer."""

from types import SimpleNamespace
from typing import Any

import pytest

from retrain.cluster.pool import Pool, _Worker
from retrain.cluster.versions import Node, own_versions
from retrain.errors import MachineError
from retrain.progress import Silent

OWN = Node("10.0.0.1", own_versions())
OTHER = Node("10.0.0.2", {**own_versions(), "numpy": "1.0"})


class Heard(Silent):
    """A Reporter that remembers warnings."""

    def __init__(self) -> None:
        self.warned: list[str] = []

    def warn(self, text: str) -> None:
        self.warned.append(text)


def admitted(*nodes: Node) -> tuple[list[str], list[str]]:
    """Let workers answer one after another; return who works, and what was said."""
    nothing: Any = SimpleNamespace()
    heard = Heard()
    pool: Pool[Any] = Pool(nothing, nothing, heard)
    pool._workers = [_Worker(nothing, nothing) for _ in nodes]
    for worker, node in zip(list(pool._workers), nodes, strict=True):
        pool._admit(worker, node)
    return [worker.node.address for worker in pool._workers if worker.node], heard.warned


@pytest.mark.parametrize("order", [(OWN, OTHER), (OTHER, OWN)])
def test_a_node_of_other_versions_is_left_out_whoever_answers_first(
    order: tuple[Node, Node],
) -> None:
    working, warned = admitted(*order)
    assert working == [OWN.address]
    assert len(warned) == 1
    assert f"{OTHER.address} has numpy 1.0" in warned[0]


def test_where_all_nodes_have_other_versions_nothing_is_begun() -> None:
    with pytest.raises(MachineError, match="Install those of this machine there"):
        admitted(OTHER, OTHER)
