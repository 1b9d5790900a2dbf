"""A folder that version 0.1 sorted goes on working; see tests/fixtures/sorted-0.1/README.md."""

import csv
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest

from commands import ROOT
from sorting import NEXT_RUN, bundle, copies, rows, sort, stamps

FIXTURE = ROOT / "tests" / "fixtures" / "sorted-0.1"
HOME = "/retrain-0.1"  # in its files
RUN = "20260101T000000Z-efficientnet_lite0"
SAME_TIME = 1_700_000_000  # of sources and copies; git does not keep theirs


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The folder in a place of this test's."""
    home = tmp_path / "old"
    shutil.copytree(FIXTURE, home)
    for name in ("results.csv", "results.json"):
        path = home / "sorted" / name
        path.write_bytes(path.read_bytes().replace(HOME.encode(), bytes(home)))
    with closing(sqlite3.connect(home / "killed" / ".results.sqlite")) as database:
        database.executescript((home / "killed.sql").read_text("utf-8"))
        for source, row in database.execute("select source, row from pictures").fetchall():
            database.execute(
                "update pictures set source = ?, row = ? where source = ?",
                (source.replace(HOME.encode(), bytes(home)), row.replace(HOME, str(home)), source),
            )
        database.commit()
    for path in home.rglob("*"):
        os.utime(path, (SAME_TIME, SAME_TIME))
    return home


@pytest.fixture
def model(trained: Path, tmp_path: Path) -> Path:
    """A model that calls itself the one that sorted then."""
    return bundle(trained, tmp_path / "model", run=RUN)


def go_on(model: Path, old: Path, *options: str) -> subprocess.CompletedProcess[str]:
    aside = ("--min-score", "0.9", "--unsure", str(old / "aside"))
    return sort(model, old / "photos", old / "sorted", *aside, *options)


def pictures(folders: Iterable[Path]) -> dict[Path, tuple[int, int, bytes]]:
    """Return the copies in some folders, with what would change if they were written again."""
    found = {path: stamp for folder in folders for path, stamp in stamps(folder).items()}
    return {path: stamp for path, stamp in found.items() if path.suffix not in (".csv", ".json")}


def test_what_it_sorted_is_done(model: Path, old: Path) -> None:
    places = (old / "sorted", old / "aside")
    before, scores = pictures(places), (old / "sorted" / "results.json").read_bytes()
    with (old / "sorted" / "results.csv").open(encoding="utf-8", newline="") as file:
        table = {row["source"]: row for row in csv.DictReader(file)}
    for _ in range(2):
        result = go_on(model, old)
        assert result.returncode == 6  # one is no picture
        assert result.stdout.splitlines()[0] == f"      0  copied to {old / 'sorted'}"
        assert "8 pictures were sorted before and are left as they are." in result.stderr
        assert pictures(places) == before
        assert (old / "sorted" / "results.json").read_bytes() == scores
        found = rows(old / "sorted")
        assert {
            source: {k: row[k] for k in table[source]} for source, row in found.items()
        } == table
        good = [row for row in found.values() if not row["error"]]
        assert (
            {row["copy_time"] for row in good} == {row["time"] for row in good} == {str(SAME_TIME)}
        )


def test_its_copies_are_replaced_by_another_model(trained: Path, old: Path, tmp_path: Path) -> None:
    newer = bundle(trained, tmp_path / "newer", run=NEXT_RUN)
    result = go_on(newer, old)
    assert result.returncode == 6
    found = {path: row for path, row in rows(old / "sorted").items() if not row["error"]}
    assert {old / "sorted" / row["copy"] for row in found.values()} == set(
        pictures((old / "sorted", old / "aside"))
    )
    assert len(found) == 8
    assert all(row["run"] == NEXT_RUN for row in found.values())


def test_its_copies_can_get_the_names_of_their_sources(model: Path, old: Path) -> None:
    scores = json.loads((old / "sorted" / "results.json").read_text("utf-8"))
    assert go_on(model, old, "--keep-names").returncode == 6
    assert json.loads((old / "sorted" / "results.json").read_text("utf-8")) == scores
    found = {path: row for path, row in rows(old / "sorted").items() if not row["error"]}
    for source, row in found.items():
        category, score = next(iter(scores[source].items()))
        place = old / ("sorted" if score >= 0.9 else "aside") / category
        assert old / "sorted" / row["copy"] == place / Path(source).name
        assert (place / Path(source).name).read_bytes() == Path(source).read_bytes()
    left = {path.name for place in ("sorted", "aside") for path in (old / place).iterdir()}
    assert left == {"disc", "squares", "stripes", "results.csv", "results.json"}


@pytest.mark.parametrize("run", [RUN, NEXT_RUN])
def test_a_copy_that_was_edited_since_then_is_left(
    run: str, trained: Path, old: Path, tmp_path: Path
) -> None:
    copy = old / "sorted" / "squares-0.99999.jpg"
    copy.write_bytes(b"mine")
    result = go_on(bundle(trained, tmp_path / "model", run=run), old)
    assert f"1 copy that may have been edited stays as it is: {copy}." in result.stderr
    assert copy.read_bytes() == b"mine"
    assert "have been edited" not in go_on(tmp_path / "model", old).stderr


def test_a_run_of_it_that_was_killed_goes_on(model: Path, old: Path) -> None:
    before = pictures([old / "killed"])
    del before[old / "killed" / ".results.sqlite"]
    result = sort(model, old / "photos", old / "killed")
    assert result.returncode == 6
    assert "5 pictures were sorted before and are left as they are." in result.stderr
    assert pictures([old / "killed"]).items() >= before.items()
    found = rows(old / "killed")
    assert len(found) == 9
    good = [row["copy"] for row in found.values() if not row["error"]]
    assert copies(old / "killed") == set(good)
    assert len(set(good)) == 8
