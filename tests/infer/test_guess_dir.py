"""`retrain guess-dir`, as people run it, with everything that can come in between."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commands import command, environment, retrain
from disks import disk, resize
from pictures import CATEGORIES, draw
from retrain.files import atomic_writer
from retrain.infer.guess import Guess
from retrain.infer.guess_dir import SortedFolder
from sorting import (
    NEW,
    NEXT_RUN,
    RESULTS,
    UNFINISHED,
    assert_sorted,
    bundle,
    copies,
    middle_score,
    rows,
    sort,
    sorting,
    stamps,
)


def test_pictures_are_copied_under_their_category_and_score(
    trained: Path, src: Path, dest: Path
) -> None:
    before = stamps(src)
    result = sort(trained, src, dest)
    assert result.returncode == 0, result.stderr
    assert_sorted(dest, *src.iterdir())
    assert result.stdout.splitlines() == [
        *(f"      1  {category}" for category in sorted(CATEGORIES)),
        f"      3  copied to {dest}",
    ]
    run = (trained / "model").resolve().name
    for source, row in rows(dest).items():
        assert row["category"] == Path(source).stem
        assert row["copy"] == f"{row['category']}-{row['score']}.jpg"
        assert row["run"] == run
    assert stamps(src) == before


def test_results_json_holds_the_scores_of_all_categories(
    trained: Path, src: Path, dest: Path
) -> None:
    printed = sort(trained, src, dest, "--json")
    assert json.loads(printed.stdout)["counts"] == dict.fromkeys(CATEGORIES, 1)
    scores = json.loads((dest / "results.json").read_text())
    for source, row in rows(dest).items():
        assert scores[source].keys() == set(CATEGORIES)
        assert f"{max(scores[source].values()):.5f}" == row["score"]


def test_the_suffix_is_the_originals_or_the_formats(
    trained: Path, tmp_path: Path, dest: Path
) -> None:
    suffixes = {"a.JPG": ".JPG", "b.jpeg": ".jpeg", "none": ".jpg", "Mr. d?sc:": ".jpg"}
    src = tmp_path / "src"
    src.mkdir()
    for name in suffixes:
        draw("disc", NEW).save(src / name, "JPEG")
    draw("disc", NEW).save(src / "png", "PNG")
    sort(trained, src, dest)
    assert_sorted(dest, *src.iterdir())
    for name, suffix in {**suffixes, "png": ".png"}.items():
        assert Path(rows(dest)[str(src / name)]["copy"]).suffix == suffix


def test_two_pictures_with_one_name_are_numbered(trained: Path, src: Path, dest: Path) -> None:
    for name in ("disc again.jpg", "disc once more.jpg"):
        shutil.copy(src / "disc.jpg", src / name)
    sort(trained, src, dest)
    assert_sorted(dest, *src.iterdir())
    stem = Path(rows(dest)[str(src / "disc again.jpg")]["copy"]).stem
    assert {f"{stem}.jpg", f"{stem}-2.jpg", f"{stem}-3.jpg"} < copies(dest)


def test_a_second_run_copies_nothing_and_then_only_what_is_new(
    trained: Path, src: Path, dest: Path
) -> None:
    sort(trained, src, dest)
    first = stamps(dest)
    again = sort(trained, src, dest)
    assert again.stdout.splitlines() == [f"      0  copied to {dest}"]
    assert "3 pictures were sorted before" in again.stderr
    assert {path: first[path] for path in first if path.name not in RESULTS}.items() <= (
        stamps(dest).items()
    )
    draw("disc", NEW + 1).save(src / "0 new.jpg")
    assert f"1  copied to {dest}" in sort(trained, src, dest).stdout
    assert_sorted(dest, *src.iterdir())


def test_a_disk_that_keeps_time_to_two_seconds_does_not_make_work(
    trained: Path, src: Path, dest: Path
) -> None:
    sort(trained, src, dest)
    for name in copies(dest):
        seconds = int((dest / name).stat().st_mtime) // 2 * 2
        os.utime(dest / name, (seconds, seconds))
    assert f"0  copied to {dest}" in sort(trained, src, dest).stdout


def test_a_picture_that_changed_gets_a_new_copy_for_the_old(
    trained: Path, src: Path, dest: Path
) -> None:
    sort(trained, src, dest)
    draw("stripes", NEW + 1).save(src / "disc.jpg")
    sort(trained, src, dest)
    assert_sorted(dest, *src.iterdir())
    assert rows(dest)[str(src / "disc.jpg")]["category"] == "stripes"


def test_a_deleted_copy_comes_back_though_a_new_picture_wants_its_name(
    trained: Path, src: Path, dest: Path
) -> None:
    sort(trained, src, dest)
    (dest / rows(dest)[str(src / "disc.jpg")]["copy"]).unlink()
    shutil.copy(src / "disc.jpg", src / "a twin that comes first.jpg")
    sort(trained, src, dest)
    assert_sorted(dest, *src.iterdir())


def test_after_a_retraining_all_copies_are_replaced(
    trained: Path, src: Path, dest: Path, tmp_path: Path
) -> None:
    shutil.copy(src / "disc.jpg", src / "disc again.jpg")
    sort(trained, src, dest)
    before = copies(dest)
    result = sort(bundle(trained, tmp_path / "bundle", run=NEXT_RUN), src, dest)
    assert f"4  copied to {dest}" in result.stdout
    assert_sorted(dest, *src.iterdir())
    assert copies(dest) == before  # numbers do not climb
    assert {row["run"] for row in rows(dest).values()} == {NEXT_RUN}


def test_foreign_files_are_never_touched(
    trained: Path, src: Path, dest: Path, tmp_path: Path
) -> None:
    sort(trained, src, tmp_path / "first")
    names = [*copies(tmp_path / "first"), "notes.txt", ".hidden.part-1"]
    dest.mkdir()
    for name in names:
        (dest / name).write_text("mine")
    for _ in range(2):
        sort(trained, src, dest)
        assert all((dest / name).read_text() == "mine" for name in names)
        assert copies(dest) == {*names, *(row["copy"] for row in rows(dest).values())}
        assert all(row["copy"].endswith("-2.jpg") for row in rows(dest).values())


@pytest.mark.parametrize(
    ("src_name", "dest_name"),
    [("a", "a/b"), ("a/b", "a"), ("a", "a"), ("link", "a/b"), ("a/b", "link"), ("link", "a")],
)
def test_folders_in_each_other_are_refused(
    trained: Path, tmp_path: Path, src_name: str, dest_name: str
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to("a")
    result = sort(trained, tmp_path / src_name, tmp_path / dest_name)
    assert result.returncode == 2
    assert result.stderr.startswith("retrain: DEST must lie outside SRC")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b", "link"]


def test_a_link_in_src_that_leads_to_dest_is_refused(trained: Path, src: Path, dest: Path) -> None:
    sort(trained, src, dest)
    before = stamps(dest)
    (src / "sorted").symlink_to(dest)
    assert sort(trained, src, dest, "--recursive").returncode == 2
    assert stamps(dest) == before


@pytest.mark.parametrize("options", [(), ("--unsure",)])
def test_copies_into_the_pictures_that_teach_the_model_are_refused(
    trained: Path, src: Path, dest: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    root = tmp_path / "own"
    root.mkdir()
    (root / "runs").symlink_to(trained / "runs")
    (root / "model").symlink_to(Path("runs", (trained / "model").resolve().name))
    (root / "data").mkdir()
    (tmp_path / "link").symlink_to(root / "data")
    for model, wrong in (
        (root, root / "data"),
        (root / "model", root / "data" / "new"),
        (root, tmp_path / "link" / "disc"),
        (root, root / "corrections" / "disc"),
    ):
        places = [dest, *options, wrong] if options else [wrong]
        result = retrain("guess-dir", model, src, *places)
        assert result.returncode == 2
        what = "The folder for unsure pictures" if options else "DEST"
        taught = root / ("corrections" if "corrections" in wrong.parts else "data")
        assert result.stderr == (
            f"retrain: {what} must lie outside {taught}, or the model would learn from its "
            f"own guesses. Received: {wrong}. Sort into another folder, look it through, then "
            f"`retrain import` it.{' See --unsure.' if options else ''}\n"
        )
    assert not dest.exists()
    assert not list((root / "data").iterdir())


def test_src_must_be_a_folder(trained: Path, src: Path, dest: Path) -> None:
    for wrong in (src / "disc.jpg", src / "missing"):
        result = sort(trained, wrong, dest)
        assert result.returncode == 2
        assert result.stderr == f"retrain: SRC must be a folder of pictures. Received: {wrong}\n"
    assert not dest.exists()


def test_dest_must_be_a_folder(trained: Path, src: Path, dest: Path) -> None:
    dest.write_text("mine")
    for wrong in (dest, dest / "below"):
        result = sort(trained, src, wrong)
        assert result.returncode == 2
        assert result.stderr == f"retrain: DEST must be a folder. Received: {wrong}\n"
    assert dest.read_text() == "mine"


def test_an_empty_src_is_no_error(trained: Path, tmp_path: Path, dest: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = sort(trained, tmp_path / "empty", dest)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [f"      0  copied to {dest}"]
    assert_sorted(dest)


def test_sub_folders_are_entered_only_if_asked_and_hidden_files_never(
    trained: Path, src: Path, dest: Path
) -> None:
    for folder in ("sub", "sub/deep", ".hidden"):
        (src / folder).mkdir()
        draw("disc", NEW).save(src / folder / "disc.jpg")
    draw("disc", NEW).save(src / ".disc.jpg")
    top = [src / f"{category}.jpg" for category in CATEGORIES]
    sort(trained, src, dest)
    assert_sorted(dest, *top)
    sort(trained, src, dest, "--recursive")
    assert_sorted(dest, *top, src / "sub" / "disc.jpg", src / "sub" / "deep" / "disc.jpg")


def test_bad_files_are_listed_and_tried_again(trained: Path, src: Path, dest: Path) -> None:
    bad = [src / "bad.jpg", src / "broken link.jpg", src / "pipe.jpg"]
    bad[0].write_text("no picture at all")
    bad[1].symlink_to("nowhere")
    os.mkfifo(bad[2])  # reading it would wait for ever
    for options in ((), ("--recursive",)):
        result = sort(trained, src, dest, *options)
        assert result.returncode == 6
        *listed, final = [line for line in result.stderr.splitlines() if "retrain: " in line]
        for path, line in zip(bad, listed, strict=True):
            assert line.startswith(f"retrain: {path}: ")
        table = dest / "results.csv"
        assert final == f"retrain: 3 files could not be guessed; see {table}."
        assert len(copies(dest)) == 3
        assert all(rows(dest)[str(path)]["error"] for path in bad)
        assert not json.loads((dest / "results.json").read_text()).keys() & set(map(str, bad))
    for path in bad:
        path.unlink()
    draw("disc", NEW + 1).save(bad[0])
    assert sort(trained, src, dest).returncode == 0
    assert rows(dest)[str(bad[0])]["error"] == ""
    assert len(copies(dest)) == 4


def test_any_file_name_is_sorted_once(trained: Path, tmp_path: Path, dest: Path) -> None:
    src = tmp_path / "two words é"
    src.mkdir()
    not_utf8 = os.fsdecode(b"caf\xe9.jpg")
    for name in ("two words", "é", "-dash.jpg", "line\nbreak", "carriage\rreturn", not_utf8):
        draw("disc", NEW).save(src / name, "JPEG")
    for _ in range(2):
        result = sort(trained, src, dest)
        assert result.returncode == 0, result.stderr
        assert_sorted(dest, *src.iterdir())
    assert f"0  copied to {dest}" in result.stdout


def test_a_damaged_database_does_not_stop_the_work(trained: Path, src: Path, dest: Path) -> None:
    dest.mkdir()
    for text in ("[1", "[]", "7"):
        (dest / ".results.sqlite").write_text(text)
        result = sort(trained, src, dest)
        assert result.returncode == 0, result.stderr
        assert len(rows(dest)) == 3


def test_killed_in_the_middle_the_same_command_finishes_the_work(
    trained: Path, many: Path, dest: Path
) -> None:
    with sorting(trained, many, dest) as process:
        process.kill()
    done = copies(dest)
    assert 20 <= len(done) < 240
    half = next(name for name in done if name.endswith(".jpg"))  # what a kill can leave besides
    (dest / f".{half}.part-99999").write_bytes(b"half")
    (dest / ".results.csv.part-99999").write_bytes(b"half")
    result = sort(trained, many, dest)
    assert result.returncode == 0, result.stderr
    assert "sorted before" in result.stderr
    assert_sorted(dest, *many.iterdir())


def test_interrupted_in_the_middle_the_same_command_finishes_the_work(
    trained: Path, many: Path, dest: Path
) -> None:
    with sorting(trained, many, dest) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    assert sort(trained, many, dest).returncode == 0
    assert_sorted(dest, *many.iterdir())


def test_two_cannot_sort_into_one_folder_at_once(
    trained: Path, many: Path, src: Path, dest: Path
) -> None:
    with sorting(trained, many, dest) as process:
        process.send_signal(signal.SIGSTOP)
        result = sort(trained, src, dest)
    assert result.returncode == 8
    assert result.stderr == f"retrain: Another guess-dir sorts into {dest}. Wait for it.\n"


def test_a_full_disk_leaves_whole_copies_only_and_the_work_goes_on_with_more_room(
    trained: Path, many: Path, tmp_path: Path
) -> None:
    with disk(tmp_path / "disk", "size=400k") as small:
        dest = small / "dest"
        result = sort(trained, many, dest)
        assert result.returncode == 8
        assert result.stderr.startswith("retrain: The disk is full: ")
        assert len(result.stderr.splitlines()) == 1
        whole = {path.read_bytes() for path in many.iterdir()}
        assert {(dest / name).read_bytes() for name in copies(dest) - UNFINISHED} <= whole
        resize(small, "8m")
        assert sort(trained, many, dest).returncode == 0
        assert_sorted(dest, *many.iterdir())


def test_a_disk_that_was_full_before_is_named_as_such(
    trained: Path, src: Path, tmp_path: Path
) -> None:
    with disk(tmp_path / "disk", "size=4k") as small:
        (small / "filler").write_bytes(bytes(4096))
        result = sort(trained, src, small / "dest")
        assert result.returncode == 8
        assert result.stderr.startswith("retrain: The disk is full: ")
        assert copies(small / "dest") <= UNFINISHED


def test_category_names_never_lead_out_of_dest(trained: Path, src: Path, tmp_path: Path) -> None:
    safe = {"../../x": "_._.._x", "a/b: c?": "a_b_ c_", os.fsdecode(b"caf\xe9"): "caf_"}
    odd = bundle(trained, tmp_path / "odd", labels=list(safe))
    dest = tmp_path / "below" / "dest"
    before = set(tmp_path.rglob("*"))
    result = sort(odd, src, dest)
    assert result.returncode == 0, result.stderr
    assert set(tmp_path.rglob("*")) - before - {dest.parent, dest} == set(dest.iterdir())
    assert copies(dest) == {
        f"{safe[row['category']]}-{row['score']}.jpg" for row in rows(dest).values()
    }
    assert len(copies(dest)) == 3
    assert f"0  copied to {dest}" in sort(odd, src, dest).stdout


# --- links


def test_links_are_made_when_asked_and_a_second_run_leaves_them(
    trained: Path, src: Path, dest: Path
) -> None:
    assert sort(trained, src, dest, "--link").returncode == 0
    copies = {path.name: path.stat().st_ino for path in dest.glob("*.jpg")}
    assert set(copies.values()) == {path.stat().st_ino for path in src.iterdir()}
    again = sort(trained, src, dest, "--link")
    assert "3 pictures were sorted before" in again.stderr
    assert {path.name: path.stat().st_ino for path in dest.glob("*.jpg")} == copies


def test_where_no_link_can_be_made_it_is_a_copy(trained: Path, src: Path, tmp_path: Path) -> None:
    with disk(tmp_path / "other disk", "size=8m") as other:
        assert sort(trained, src, other / "sorted", "--link").returncode == 0
        copies = list((other / "sorted").glob("*.jpg"))
        assert len(copies) == 3
        assert all(path.stat().st_nlink == 1 for path in copies)


def test_a_link_to_a_picture_is_followed(trained: Path, src: Path, dest: Path) -> None:
    (src / "linked.jpg").symlink_to(src / "disc.jpg")
    assert sort(trained, src, dest, "--link").returncode == 0
    assert not any(path.is_symlink() for path in dest.iterdir())
    assert len(list(dest.glob("disc-*.jpg"))) == 2


# --- pictures set aside


def assert_set_aside(dest: Path, unsure: Path, limit: str) -> None:
    """Each copy lies where its score belongs, and nothing else lies there."""
    there: dict[Path, set[str]] = {dest: set(), unsure: set()}
    for row in rows(dest).values():
        copy = dest / row["copy"]
        assert copy.parent == (unsure if float(row["score"]) < float(limit) else dest)
        there[copy.parent].add(copy.name)
    assert all(there.values())
    assert copies(dest) - {unsure.name} == there[dest]
    assert copies(unsure) == there[unsure]


@pytest.mark.parametrize("place", ["unsure", "dest/unsure é"])
def test_what_the_model_is_not_sure_of_is_set_aside(
    place: str, trained: Path, many: Path, dest: Path, tmp_path: Path
) -> None:
    limit = middle_score(trained, many, dest)
    unsure = tmp_path / place
    result = sort(trained, many, dest, "--min-score", limit, "--unsure", str(unsure))
    assert result.returncode == 0, result.stderr
    assert_set_aside(dest, unsure, limit)
    aside = len(copies(unsure))
    assert result.stdout.splitlines()[-1] == f"{aside:7d}  of them unsure, to {unsure}"
    again = sort(trained, many, dest, "--min-score", limit, "--unsure", str(unsure))
    assert f"0  copied to {dest}" in again.stdout
    assert_set_aside(dest, unsure, limit)


def test_another_limit_moves_what_it_concerns(
    trained: Path, src: Path, dest: Path, tmp_path: Path
) -> None:
    unsure = tmp_path / "unsure"
    sort(trained, src, dest, "--min-score", "1", "--unsure", str(unsure))
    assert copies(unsure)
    sort(trained, src, dest, "--min-score", "0.1", "--unsure", str(unsure))
    assert copies(unsure) == set()
    assert_sorted(dest, *src.iterdir())


def test_a_limit_wants_a_folder(trained: Path, src: Path, dest: Path) -> None:
    result = sort(trained, src, dest, "--min-score", "0.5")
    assert result.returncode == 2
    assert result.stderr.startswith("retrain: The least score needs a folder")
    assert "See --unsure." in result.stderr
    assert not dest.exists()


def test_strangers_are_set_aside_where_a_folder_is_given(
    trained: Path, src: Path, dest: Path, tmp_path: Path
) -> None:
    (src / "strange").mkdir()
    strangers = [src / "strange" / f"{colour}.jpg" for colour in ("white", "black", "red")]
    for path in strangers:
        Image.new("RGB", (90, 80), path.stem).save(path)
    aside = tmp_path / "aside"
    result = sort(trained, src, dest, "--recursive", "--unsure", str(aside))
    assert result.returncode == 0, result.stderr
    known = {Path(source): row for source, row in rows(dest).items()}
    strange = {path for path, row in known.items() if Path(row["copy"]).is_absolute()}
    assert set(strangers) <= strange
    assert all(float(known[path]["familiar"]) < 0.05 for path in strange)
    assert all(0 < float(row["familiar"]) <= 1 for row in known.values())
    assert len(copies(aside)) == len(strange)
    before = copies(aside)
    (aside / Path(known[strangers[0]]["copy"]).name).unlink()
    again = sort(trained, src, dest, "--recursive", "--unsure", str(aside))
    assert again.returncode == 0, again.stderr
    assert copies(aside) == before  # the lost one comes back from what is known of it


def test_a_folder_alone_needs_a_model_that_knows_strangers(
    trained: Path, src: Path, dest: Path, tmp_path: Path
) -> None:
    root = tmp_path / "copy"
    shutil.copytree(trained / "model", root, ignore=shutil.ignore_patterns("reference.npz"))
    result = sort(root, src, dest, "--unsure", str(tmp_path / "aside"))
    assert result.returncode == 2
    assert "See --min-score." in result.stderr
    both = ("--min-score", "0.5", "--unsure", str(tmp_path / "aside"))
    assert sort(root, src, dest, *both).returncode == 0
    assert {row["familiar"] for row in rows(dest).values()} == {""}


@pytest.mark.parametrize("unsure", ["dest", "link", "dest/../dest"])
def test_unsure_must_be_another_folder(
    unsure: str, trained: Path, src: Path, dest: Path, tmp_path: Path
) -> None:
    dest.mkdir()
    (tmp_path / "link").symlink_to(dest)
    arguments = ("--min-score", "0.5", "--unsure", str(tmp_path / unsure))
    result = sort(trained, src, dest, *arguments)
    assert result.returncode == 2
    assert "in another folder than DEST. Received" in result.stderr
    assert "See --unsure." in result.stderr
    assert copies(dest) == set()


def test_copies_in_an_earlier_unsure_folder_stay_and_are_counted(
    trained: Path, src: Path, dest: Path, tmp_path: Path
) -> None:
    limit = ("--min-score", "1", "--unsure")
    sort(trained, src, dest, *limit, str(tmp_path / "one"))
    before = stamps(tmp_path / "one")
    result = sort(trained, src, dest, *limit, str(tmp_path / "two"))
    word = "copy" if len(before) == 1 else "copies"
    assert f"{len(before)} {word} of an earlier run stay in {tmp_path / 'one'}." in result.stderr
    assert stamps(tmp_path / "one") == before
    assert len(copies(tmp_path / "two")) == len(before)


def test_a_limit_of_zero_sets_nothing_aside(
    trained: Path, src: Path, dest: Path, tmp_path: Path
) -> None:
    sort(trained, src, dest, "--min-score", "0", "--unsure", str(tmp_path / "aside"))
    assert copies(tmp_path / "aside") == set()
    assert_sorted(dest, *src.iterdir())


def test_unsure_must_lie_outside_src(trained: Path, src: Path, dest: Path) -> None:
    inside = ("--min-score", "0.5", "--unsure", str(src / "aside"))
    assert sort(trained, src, dest, *inside).returncode == 2
    assert not dest.exists()
    assert len(list(src.iterdir())) == 3


def test_results_that_name_other_files_do_not_harm_them(
    trained: Path, src: Path, dest: Path, tmp_path: Path
) -> None:
    sort(trained, src, dest)
    mine = tmp_path / "mine.jpg"
    mine.write_text("mine")
    table = (dest / "results.csv").read_text()
    first = next(iter(rows(dest).values()))["copy"]
    (dest / "results.csv").write_text(table.replace(first, str(mine)))
    assert sort(trained, src, dest).returncode == 0
    assert mine.read_text() == "mine"
    (dest / "results.csv").write_text(table.replace(first, "../mine.jpg"))
    assert sort(trained, src, dest).returncode == 0
    assert mine.read_text() == "mine"


# --- what goes wrong in a folder, and how much memory a large one takes


def test_a_folder_with_every_kind_of_bad_file_is_finished_and_each_is_listed(
    trained: Path, many: Path, dest: Path
) -> None:
    whole = (many / "000.jpg").read_bytes()
    (many / "900 truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (many / "901 text.jpg").write_text("no picture at all")
    (many / "902 empty.jpg").touch()
    Image.new("1", (14_000, 14_000)).save(many / "903 bomb.png")
    (many / "904 gone.jpg").write_bytes(whole)
    with sorting(trained, many, dest) as process:
        (many / "904 gone.jpg").unlink()
        assert process.wait() == 6
    failed = {Path(path).name: row["error"] for path, row in rows(dest).items() if row["error"]}
    assert failed.keys() == {
        *("900 truncated.jpg", "901 text.jpg", "902 empty.jpg"),
        *("903 bomb.png", "904 gone.jpg"),
    }
    assert "decompression bomb" in failed["903 bomb.png"]
    assert failed["904 gone.jpg"] == "No such file or directory"
    assert len(copies(dest)) == 240


def peak(trained: Path, src: Path, dest: Path) -> int:
    """Return the peak memory of sorting, in bytes."""
    with subprocess.Popen(
        command("guess-dir", trained, src, dest), env=environment(), stdout=subprocess.DEVNULL
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def test_five_times_the_pictures_do_not_take_more_memory(
    trained: Path, many: Path, tmp_path: Path
) -> None:
    few = peak(trained, many, tmp_path / "few")
    for i in range(240, 1200):
        (many / f"{i}.jpg").hardlink_to(many / f"{i % 240:03d}.jpg")
    assert peak(trained, many, tmp_path / "lot") - few < 20e6


def test_a_source_that_vanishes_before_its_copy_is_listed(tmp_path: Path) -> None:
    folder = SortedFolder(tmp_path / "dest", "run")
    scores = np.array([0.9, 0.1], np.float32)
    gone = Guess(tmp_path / "gone.jpg", ("disc", "squares"), scores, extension=".jpg")
    (found,) = folder.add_all([gone])
    folder.finish()
    assert found.error == "No such file or directory"
    assert rows(tmp_path / "dest")[str(gone.path)]["error"] == found.error
    assert copies(tmp_path / "dest") == set()
    assert json.loads((tmp_path / "dest" / "results.json").read_text()) == {}


def test_what_a_killed_process_left_of_a_link_is_not_written_through(tmp_path: Path) -> None:
    mine = tmp_path / "mine.jpg"
    mine.write_text("mine")
    (tmp_path / f".copy.jpg.part-{os.getpid()}").hardlink_to(mine)
    with atomic_writer(tmp_path / "copy.jpg") as part:
        part.write_text("theirs")
    assert mine.read_text() == "mine"
