"""Copies and series that contradict each other."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from retrain.data.corrections import Correction, Corrections
from retrain.data.records import Picture, Side
from retrain.data.relations import Kind, Relation
from retrain.evaluate.findings import Finding
from retrain.evaluate.related_findings import related_findings

CATEGORIES = ("cat", "dog")
SURE_OF_DOG = np.array([[0.1, 0.9]] * 6, np.float32)


def picture(
    number: int, category: str, content: int | None = None, side: Side | None = None
) -> Picture:
    name, sha256 = f"{category}/{number}.jpg", f"{number if content is None else content:064x}"
    return Picture(Path("/data") / name, name, category, sha256, sha256, side)


def relation(one: int, other: int, kind: Kind, refused: bool = False) -> Relation:
    return Relation(f"{one:064x}", f"{other:064x}", kind, 0.97, "pixels 0.97", refused)


def found(
    pictures: Sequence[Picture],
    relations: Sequence[Relation] = (),
    corrections: Corrections | None = None,
    sure: bool = True,
) -> list[Finding]:
    guesses = SURE_OF_DOG[: len(pictures)] if sure else None
    return related_findings(pictures, relations, corrections or Corrections(), guesses, CATEGORIES)


def test_the_same_file_in_two_categories_is_one_finding_with_the_likelier_one() -> None:
    both = [picture(1, "cat"), picture(2, "dog", content=1), picture(3, "cat")]
    (one,) = found(both)
    assert (one.kind, one.pictures) == ("copy", ("cat/1.jpg", "dog/2.jpg"))
    assert (one.category, one.suggestion, one.score) == ("cat", "dog", 1.0)
    (one,) = found([*both, picture(4, "cat", content=1)], sure=False)
    assert one.suggestion == "cat"  # where most of them lie


def test_copies_that_a_person_confirmed_contradict_nobody() -> None:
    both = [picture(1, "cat"), picture(2, "dog")]
    relations = [relation(1, 2, "copy")]
    assert len(found(both, relations)) == 1
    said = [Correction(p.sha256, p.name, "not a mistake", p.category, "2026") for p in both]
    assert len(found(both, relations, Corrections(said[:1]))) == 1
    assert found(both, relations, Corrections(said)) == []


def test_what_may_well_lie_in_two_categories_is_no_finding() -> None:
    both = [picture(1, "cat"), picture(2, "dog")]
    assert found(both, [relation(1, 2, "copy", refused=True)]) == []
    assert found([picture(1, "cat"), picture(2, "cat")], [relation(1, 2, "copy")]) == []


def test_a_series_in_several_categories_is_one_finding() -> None:
    some = [picture(1, "cat"), picture(2, "cat"), picture(3, "dog")]
    (one,) = found(some, [relation(1, 2, "series"), relation(2, 3, "series")])
    assert (one.kind, one.pictures[0], one.category) == ("series", "dog/3.jpg", "dog")
    relations = [relation(1, 2, "series"), relation(2, 3, "series")]
    said = Correction(some[2].sha256, some[2].name, "not a mistake", "dog", "2026")
    assert found(some, relations, Corrections([said])) == []
    assert "3 pictures of one series lie in several categories (2 in 'cat', 1 in 'dog')" in one.why


def test_copies_on_two_sides_of_the_users_own_split_flatter() -> None:
    both = [picture(1, "cat", side="train"), picture(2, "cat", side="test")]
    (one,) = found(both, [relation(1, 2, "mirrored copy")])
    assert (one.kind, one.pictures) == ("copy", ("cat/2.jpg", "cat/1.jpg"))
    assert "are for test and train" in one.why
    (one,) = found(both, [relation(1, 2, "series")])
    assert one.kind == "series"
