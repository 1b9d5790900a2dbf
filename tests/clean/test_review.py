"""What the page says and hears, without a server."""

import os
import time
from pathlib import Path

import pytest

from albums import RULES, findings, review, workspace
from retrain.clean.album import Album
from retrain.clean.review import MOST_SHOWN, Asked, NotAsShown, Review, printable
from retrain.data.corrections import Correction, add_corrections, read_corrections
from retrain.errors import MachineError, UsageError
from retrain.evaluate.findings import Finding
from retrain.workspace import Workspace


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return workspace(tmp_path / "tf files é")


@pytest.fixture
def page(place: Workspace) -> Review:
    return review(place)


def seen(page: Review, *names: str) -> dict[str, str]:
    found = [page.album.named(name) for name in names]
    return {shown.id: shown.sha256 for shown in found if shown}


def open_names(page: Review, **asked: object) -> list[str]:
    items = page.listed(Asked(is_open=True, **asked))["items"]  # type: ignore[arg-type]
    return [picture["name"] for item in items for picture in item["pictures"]]


def test_findings_come_worst_first_by_kind_and_category(page: Review) -> None:
    every = page.listed(Asked())["items"]
    assert [item["why"] for item in every] == [one.why for one in findings()]
    labels = page.listed(Asked(kind="label", category="disc"))
    assert labels["total"] == 2
    assert labels["items"][0]["suggestion"] == "stripes"
    assert page.listed(Asked(kind="pictures", category="disc"))["total"] == 6
    kinds = {one["kind"]: (one["open"], one["count"]) for one in page.state()["kinds"]}
    assert kinds["label"] == (3, 3)
    assert kinds["shortcut"] == (0, 0)


def test_a_choice_is_on_disk_and_takes_the_finding_off_the_list(page: Review) -> None:
    (changed,) = page.choose(seen(page, "disc/disc-000.jpg"), "move", "stripes")
    assert (changed["what"], changed["category"]) == ("move", "stripes")
    assert {c["name"]: c["count"] for c in page.state()["categories"]} == {
        "disc": 5,
        "squares": 6,
        "stripes": 7,
    }
    (line,) = read_corrections(page.workspace.corrections).standing
    assert (line.name, line.what, line.category) == (
        "disc/disc-000.jpg",
        "other category",
        "stripes",
    )
    assert "disc/disc-000.jpg" not in open_names(page)
    assert page.listed(Asked())["items"][0]["done"]


def test_keep_out_and_back_do_what_they_say(page: Review) -> None:
    one, other = "disc/disc-000.jpg", "stripes/stripes-000.jpg"
    page.choose(seen(page, one), "keep")
    page.choose(seen(page, other), "out")
    state = page.state()
    assert (state["kept"], state["left_out"], state["moved"]) == (1, 1, 0)
    assert {c["name"]: c["count"] for c in state["categories"]}["stripes"] == 5
    page.choose(seen(page, one, other), "back")
    state = page.state()
    assert (state["kept"], state["left_out"]) == (0, 0)
    assert len(open_names(page, kind="label")) == 3


def test_many_are_chosen_and_taken_back_together(page: Review) -> None:
    names = [shown.name for shown in page.album.all()]
    page.choose(seen(page, *names), "out")
    assert page.state()["left_out"] == 18
    assert len(page.undo()) == 18
    assert page.state()["left_out"] == 0
    assert page.undo() == []


def test_a_copy_is_settled_by_either_of_its_pictures(page: Review) -> None:
    page.choose(seen(page, "squares/squares-003.jpg"), "out")
    assert open_names(page, kind="copy") == []


def test_what_others_choose_is_seen(page: Review) -> None:
    other = review(page.workspace)
    other.choose(seen(other, "disc/disc-000.jpg"), "out")
    assert page.state()["left_out"] == 1
    assert page.state()["version"] == other.state()["version"]
    page.undo()
    assert other.state()["left_out"] == 0


def test_what_was_chosen_yesterday_is_there_today(place: Workspace) -> None:
    yesterday = review(place)
    yesterday.choose(seen(yesterday, "disc/disc-000.jpg"), "move", "squares")
    today = review(place)
    assert today.state()["moved"] == 1
    assert seen(today, "disc/disc-000.jpg") == seen(yesterday, "disc/disc-000.jpg")


def test_a_picture_that_changed_is_not_chosen(page: Review) -> None:
    name = "disc/disc-000.jpg"
    before, both = seen(page, name), seen(page, name, "disc/disc-001.jpg")
    path = page.workspace.data / name
    path.write_bytes((page.workspace.data / "squares" / "squares-000.jpg").read_bytes())
    with pytest.raises(NotAsShown, match="was changed since it was shown"):
        page.choose(both, "out")
    assert not page.workspace.corrections.exists()
    assert seen(page, name) != before
    page.choose(seen(page, name), "out")
    assert len(read_corrections(page.workspace.corrections).standing) == 1


def test_a_picture_that_changed_behind_its_time_is_noticed(page: Review) -> None:
    name = "disc/disc-000.jpg"
    before = seen(page, name)
    path = page.workspace.data / name
    path.write_bytes((page.workspace.data / "squares" / "squares-000.jpg").read_bytes())
    os.utime(path, (1, 1))
    with pytest.raises(NotAsShown):
        page.choose(before, "out")


def test_a_picture_that_is_gone_is_not_chosen(page: Review) -> None:
    name = "disc/disc-000.jpg"
    before = seen(page, name)
    (page.workspace.data / name).unlink()
    with pytest.raises(NotAsShown, match="cannot be read any more"):
        page.choose(before, "out")
    assert page.album.named(name) is None
    item = page.listed(Asked(kind="label"))["items"][0]
    assert (item["pictures"], item["gone"]) == ([], 1)
    with pytest.raises(NotAsShown, match="no longer in the data folder"):
        page.choose(before, "out")


@pytest.mark.parametrize(
    "category", ["", "  ", "a/b", "..", ".hidden", "a\nb", "x" * 101, "\u202eabc"]
)
def test_a_category_must_be_a_folders_name(page: Review, category: str) -> None:
    with pytest.raises(UsageError, match="folder's name"):
        page.choose(seen(page, "disc/disc-000.jpg"), "move", category)


def test_a_new_category_is_possible(page: Review) -> None:
    page.choose(seen(page, "disc/disc-000.jpg"), "move", " e\u0301toile ")
    assert "\u00e9toile" in {one["name"] for one in page.state()["categories"]}


def test_a_folder_that_cannot_be_written_is_told(
    page: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.workspace.corrections.mkdir()
    with pytest.raises(MachineError):
        page.choose(seen(page, "disc/disc-000.jpg"), "out")


def test_a_read_only_data_folder_can_be_corrected(page: Review) -> None:
    for folder in (page.workspace.data, *page.workspace.data.iterdir()):
        folder.chmod(0o555)
    page.choose(seen(page, "disc/disc-000.jpg"), "out")
    assert page.state()["left_out"] == 1


def test_long_lists_come_in_parts(place: Workspace) -> None:
    album = Album.of(place, RULES, time.time())
    names = tuple(shown.name for shown in album.all())
    many = [Finding("label", (names[i % 18],), "disc", "", 0.5, str(i)) for i in range(150)]
    page = Review(place, album, [*many, Finding("series", names * 2, "disc", "", 0.1, "long")])
    assert [len(page.listed(Asked(first=first))["items"]) for first in (0, 60, 120)] == [60, 60, 31]
    assert page.listed(Asked(first=10_000))["first"] == 120
    assert page.listed(Asked(kind="series"))["items"][0]["more"] == 36 - MOST_SHOWN


@pytest.fixture
def twins(place: Workspace) -> Review:
    """A review of a picture that lies in two categories."""
    twin = place.data / "stripes" / "twin.jpg"
    twin.write_bytes((place.data / "disc" / "disc-000.jpg").read_bytes())
    return review(place)


def test_twins_share_what_is_said_of_them(twins: Review) -> None:
    changed = twins.choose(seen(twins, "disc/disc-000.jpg"), "out")
    assert {one["name"]: (one["what"], one["files"]) for one in changed} == {
        "disc/disc-000.jpg": ("out", 2),
        "stripes/twin.jpg": ("out", 2),
    }
    assert twins.state()["left_out"] == 2
    assert {c["name"]: c["count"] for c in twins.state()["categories"]}["stripes"] == 6


def test_to_keep_one_of_two_twins_moves_the_other_to_it(twins: Review) -> None:
    changed = twins.choose(seen(twins, "disc/disc-000.jpg"), "keep")
    assert {one["name"]: one["what"] for one in changed} == {
        "disc/disc-000.jpg": "keep",
        "stripes/twin.jpg": "move",
    }
    assert {one["category"] for one in changed} == {"disc"}


def test_names_that_turn_text_or_end_lines_are_shown_as_escapes() -> None:
    assert printable("a\u202egpj.exe") == "a\\u202egpj.exe"
    assert printable("\udc80\n") == "\\udc80\\n"
    assert printable("<script>\"'é中") == "<script>\"'é中"


def test_choices_that_name_strangers_do_no_harm(page: Review) -> None:
    add_corrections(page.workspace.corrections, [Correction("0" * 64, "gone.jpg", "left out")])
    assert page.state()["left_out"] == 0
    assert page.state()["last"][0]["name"] == "gone.jpg"
