"""How relations are written down, read back, and carried from run to run."""

import csv
import io
from pathlib import Path

from retrain.data.records import Picture
from retrain.data.relations import COLUMNS, Relation, from_rows, to_rows, with_previous

A, B, C = "a" * 64, "b" * 64, "c" * 64


def picture(sha256: str, name: str) -> Picture:
    return Picture(Path(name), name, name.split("/")[0], sha256, sha256)


def as_csv(relations: list[Relation], pictures: list[Picture]) -> str:
    file = io.StringIO()
    csv.writer(file).writerows([COLUMNS, *to_rows(relations, pictures)])
    return file.getvalue()


def read(text: str) -> list[Relation]:
    return from_rows(csv.DictReader(io.StringIO(text)))


def test_relations_are_read_as_they_were_written() -> None:
    relations = [
        Relation(A, B, "series", 0.91, "numbers 3 and 6"),
        Relation(B, C, "mirrored copy", 1.0, "pixels 1.00", refused=True),
    ]
    text = as_csv(relations, [picture(A, "cat/1.jpg"), picture(B, "cat/2.jpg")])
    assert read(text) == relations
    assert "cat/1.jpg" in text


def test_a_person_may_refuse_in_a_spreadsheet() -> None:
    text = as_csv([Relation(A, B, "copy", 0.99, "")], [])
    for word, refused in (("yes", True), ("X", True), ("no", False), ("  ", False)):
        assert read(text.replace(",,", f",{word},", 1).replace(",,", f",{word},", 1))
        row = {"sha256": A, "other": B, "kind": "copy", "likeness": "1", "refused": word}
        assert from_rows([row])[0].refused == refused


def test_damaged_rows_are_left_out() -> None:
    good = {"sha256": B, "other": A, "kind": "copy"}
    rows = [{}, {**good, "kind": "twins"}, {**good, "other": B}, {**good, "other": ""}, good]
    assert [one.pair for one in from_rows(rows)] == [(A, B)]


def test_what_was_found_once_stands() -> None:
    old = Relation(A, B, "series", 0.8, "features 0.80")
    new = Relation(B, C, "copy", 0.99, "pixels 0.99")
    assert with_previous([new], [old]) == [old, new]


def test_a_new_finding_replaces_the_old_one() -> None:
    old, new = Relation(A, B, "series", 0.8, ""), Relation(A, B, "copy", 0.99, "")
    assert with_previous([new], [old]) == [new]


def test_a_refused_pair_stays_refused() -> None:
    refused = Relation(A, B, "copy", 0.99, "", refused=True)
    found = [Relation(A, B, "copy", 0.99, "")]
    once = with_previous(found, [refused])
    assert once == [refused]
    assert with_previous(found, once) == [refused]
    assert with_previous([], once) == [refused]
