"""The journal: rows are added whole, survive a kill, and name what they must."""

from pathlib import Path

import pytest

from retrain.data.origins import COLUMNS, Origin, origins, read_sources
from retrain.errors import DataError, MachineError
from retrain.gather.journal import open_journal

ONE, TWO, THREE = "1" * 64, "2" * 64, "3" * 64


def nothing(_: str) -> None:
    """Hear warnings."""


def add(root: Path, **values: str) -> None:
    with open_journal(root, nothing) as journal:
        journal.add(**({"job": "download", "status": "kept", "category": "a"} | values))


def test_rows_are_read_again_as_they_were_written(tmp_path: Path) -> None:
    add(tmp_path, source='http://x/,"\n', path="a/é.jpg", sha256=ONE)
    add(tmp_path, source="two", path="a/\udcff.jpg", sha256=TWO)
    with open_journal(tmp_path, nothing) as journal:
        assert [row["path"] for row in journal.rows] == ["a/é.jpg", "a/\udcff.jpg"]
        assert journal.of("download").keys() == {('http://x/,"\n', "a"), ("two", "a")}
        found = journal.content(TWO)
        assert found is not None
        assert found["source"] == "two"
        assert found["when"].endswith("+00:00")


def test_half_a_row_of_a_killed_process_costs_that_row_alone(tmp_path: Path) -> None:
    add(tmp_path, source="one", sha256=ONE)
    with (tmp_path / "sources.csv").open("a") as file:
        file.write("a/2.jpg,2222")
    add(tmp_path, source="three", sha256=THREE)
    assert [row["source"] for row in read_sources(tmp_path / "sources.csv")] == ["one", "three"]


def test_two_jobs_do_not_write_at_the_same_time(tmp_path: Path) -> None:
    with (
        open_journal(tmp_path, nothing),
        pytest.raises(MachineError, match="Only one command"),
        open_journal(tmp_path, nothing),
    ):
        pass


def test_another_table_of_that_name_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "sources.csv").write_text("name,price\nx,1\n")
    with pytest.raises(DataError, match="another table"), open_journal(tmp_path, nothing):
        pass
    assert (tmp_path / "sources.csv").read_text() == "name,price\nx,1\n"


def test_forgotten_rows_are_gone_and_the_others_stay(tmp_path: Path) -> None:
    for name in "abc":
        add(tmp_path, source=name, sha256=ONE)
    with open_journal(tmp_path, nothing) as journal:
        journal.forget([1])
        journal.add(job="import", source="d", status="kept")
    assert [row["source"] for row in read_sources(tmp_path / "sources.csv")] == ["a", "c", "d"]


def test_what_stands_for_itself_does_so_whatever_a_variation_says() -> None:
    def row(**values: str) -> dict[str, str]:
        return dict.fromkeys(COLUMNS, "") | {"status": "kept"} | values

    varied = row(job="vary", sha256=ONE, group=TWO)
    own = row(job="frames", sha256=ONE, group="film 3")
    assert origins([varied]) == {ONE: Origin("vary", "", TWO)}
    for rows in ([varied, own], [own, varied]):
        assert origins(rows) == {ONE: Origin("frames", "film 3")}
    assert origins([row(job="vary", sha256=ONE, group="no content")]) == {}
    assert origins([own | {"status": "duplicate"}]) == {}


def test_what_a_killed_process_left_half_written_is_removed_and_nothing_else(
    tmp_path: Path,
) -> None:
    category = tmp_path / "data" / "a"
    category.mkdir(parents=True)
    left, users, picture = (category / n for n in (".retrain-4711.part", ".1.part", "1.jpg"))
    for path in (left, users, picture):
        path.write_bytes(b"x")
    with open_journal(tmp_path, nothing):
        assert not left.exists()
    assert users.exists()
    assert picture.exists()
