"""Which pictures stand next to one another: by the number in the name, by the camera's clock."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath

from retrain.data.fingerprints import NO_TIME

REACH = 3  # places in the order of numbers or times that still count as near
BURST = 10  # seconds between neighbours
APART = 600  # seconds after which near numbers mean nothing
NUMBER = re.compile(r"(.*?)(\d+)(\D*)", re.DOTALL)  # the last number of a name


@dataclass(frozen=True)
class Neighbours:
    """Two pictures, by their rows, and why they count as neighbours."""

    first: int
    second: int
    evidence: str


def neighbours(names: Sequence[str], taken: Sequence[int]) -> list[Neighbours]:
    """Return pairs of neighbours, each once, its lower row first.

    Args:
        names: paths relative to the data folder.
        taken: seconds on the camera's clock, NO_TIME where it is not known.
    """
    found: dict[tuple[int, int], str] = {}
    for first, second, evidence in (*_by_number(names, taken), *_by_time(taken)):
        found[min(first, second), max(first, second)] = evidence
    return [Neighbours(*rows, evidence) for rows, evidence in sorted(found.items())]


def _by_number(names: Sequence[str], taken: Sequence[int]) -> Iterator[tuple[int, int, str]]:
    series: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for row, name in enumerate(names):
        if match := NUMBER.fullmatch(name.removesuffix(PurePosixPath(name).suffix)):
            series[match[1], match[3]].append((int(match[2]), row))
    for members in series.values():
        for (number, first), (later, second) in _near(sorted(members)):
            times = taken[first], taken[second]
            if NO_TIME in times or abs(times[0] - times[1]) <= APART:
                yield first, second, f"numbers {number} and {later}"


def _by_time(taken: Sequence[int]) -> Iterator[tuple[int, int, str]]:
    clock = sorted((time, row) for row, time in enumerate(taken) if time != NO_TIME)
    for (time, first), (later, second) in _near(clock):
        if later - time <= BURST:
            yield first, second, f"taken {later - time} s apart"


def _near(
    ordered: Sequence[tuple[int, int]],
) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    for place, one in enumerate(ordered):
        for other in islice(ordered, place + 1, place + 1 + REACH):
            yield one, other
