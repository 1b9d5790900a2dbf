"""`guess-dir --keep-names` and `--dry-run`."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from pictures import CATEGORIES, draw
from sorting import (
    NEW,
    NEXT_RUN,
    RESULTS,
    assert_sorted,
    bundle,
    middle_score,
    rows,
    sort,
    sorting,
    stamps,
)


def files(folder: Path) -> set[str]:
    """Return the paths of all files and empty folders in a folder, but the results."""
    found = [path for path in folder.rglob("*") if path.is_file() or not any(path.iterdir())]
    return {str(path.relative_to(folder)) for path in found} - RESULTS


def assert_kept(dest: Path, *sources: Path) -> None:
    """Each source has one copy in its category's folder, and nothing else lies in `dest`."""
    results = rows(dest)
    assert results.keys() == {str(source) for source in sources}
    assert files(dest) == {row["copy"] for row in results.values()}
    assert len(files(dest)) == len(sources)
    for source in sources:
        row = results[str(source)]
        assert (dest / row["copy"]).read_bytes() == source.read_bytes()
        assert Path(row["copy"]).parent == Path(row["category"])


# --- kept names


def test_names_are_kept_in_folders_of_categories(trained: Path, src: Path, dest: Path) -> None:
    shutil.copy(src / "disc.jpg", src / "Übung 1.JPG")
    shutil.copy(src / "disc.jpg", src / "no suffix")
    result = sort(trained, src, dest, "--keep-names")
    assert (result.returncode, result.stderr) == (0, "")
    assert_kept(dest, *src.iterdir())
    assert files(dest) == {
        *("disc/disc.jpg", "disc/Übung 1.JPG", "disc/no suffix"),
        *("squares/squares.jpg", "stripes/stripes.jpg"),
    }
    before = stamps(dest / "disc")
    assert f"0  copied to {dest}" in sort(trained, src, dest, "--keep-names").stdout
    assert stamps(dest / "disc") == before


def test_names_that_collide_are_numbered(trained: Path, src: Path, dest: Path) -> None:
    names = ("a/x.jpg", "b/x.jpg", "c/x.jpg", "c/x-2.jpg", "d/X.JPG", "e/x-2.jpg", "e/x-2-2.jpg")
    for name in names:
        (src / name).parent.mkdir(exist_ok=True)
        shutil.copy(src / "disc.jpg", src / name)
    sources = [path for path in src.rglob("*") if path.is_file()]
    for _ in range(2):
        result = sort(trained, src, dest, "--keep-names", "-r")
        assert result.returncode == 0, result.stderr
        assert_kept(dest, *sources)
        lower = [name.casefold() for name in files(dest)]
        assert len({*lower}) == len(lower)  # also where case does not count
    assert rows(dest)[str(src / "a" / "x.jpg")]["copy"] == "disc/x.jpg"
    assert f"0  copied to {dest}" in result.stdout


def test_files_of_the_users_are_not_replaced(trained: Path, src: Path, dest: Path) -> None:
    (dest / "disc").mkdir(parents=True)
    (dest / "disc" / "disc.jpg").write_text("mine")
    sort(trained, src, dest, "--keep-names")
    assert (dest / "disc" / "disc.jpg").read_text() == "mine"
    assert rows(dest)[str(src / "disc.jpg")]["copy"] == "disc/disc-2.jpg"


def test_a_file_in_the_place_of_a_category_is_named(trained: Path, src: Path, dest: Path) -> None:
    dest.mkdir()
    (dest / "stripes").write_text("mine")
    result = sort(trained, src, dest, "--keep-names")
    assert result.returncode == 2
    assert f"{dest / 'stripes'} must be a folder." in result.stderr
    assert (dest / "stripes").read_text() == "mine"


def test_names_that_some_file_systems_forbid_are_changed(
    trained: Path, tmp_path: Path, dest: Path
) -> None:
    src = tmp_path / "src"
    src.mkdir()
    long = "é" * 120
    kept = {
        "12:30?.jpg": "12_30_.jpg",
        "con.jpg": "con_.jpg",
        "line\nbreak.jpg": "line_break.jpg",
        os.fsdecode(b"caf\xe9.jpg"): "caf_.jpg",
        "dots...": "dots",
        f"{long}.jpg": f"{long[:90]}.jpg",
    }
    for name in kept:
        draw("disc", NEW).save(src / name, "JPEG")
    categories = {"Aux": "Aux_", "results.csv": "results.csv_", "etc. ": "etc"}
    odd = bundle(trained, tmp_path / "odd", labels=list(categories))
    result = sort(odd, src, dest, "--keep-names")
    assert result.returncode == 0, result.stderr
    for source, row in rows(dest).items():
        assert row["copy"] == f"{categories[row['category']]}/{kept[Path(source).name]}"
        assert (dest / row["copy"]).is_file()


def test_after_a_retraining_kept_copies_move_to_their_categories(
    trained: Path, src: Path, dest: Path, tmp_path: Path
) -> None:
    sort(trained, src, dest, "--keep-names")
    labels = json.loads((trained / "model" / "manifest.json").read_text())["labels"]
    turned = bundle(trained, tmp_path / "b", run=NEXT_RUN, labels=[*labels[1:], "new"])
    assert sort(turned, src, dest, "--keep-names").returncode == 0
    assert_kept(dest, *src.iterdir())
    assert {path.name for path in dest.iterdir()} - RESULTS == {*labels[1:], "new"}


def test_names_can_be_kept_and_given_up_again(trained: Path, src: Path, dest: Path) -> None:
    shutil.copy(src / "disc.jpg", src / "no suffix")
    sort(trained, src, dest)
    scored = stamps(dest)
    scores = (dest / "results.json").read_bytes()
    for options in (("--keep-names",), (), ("--keep-names",), ()):
        result = sort(trained, src, dest, *options)
        assert f"4  copied to {dest}" in result.stdout
        (assert_kept if options else assert_sorted)(dest, *src.iterdir())
        assert (dest / "results.json").read_bytes() == scores
    inodes = {path.name: stamp[0] for path, stamp in scored.items() if path.name not in RESULTS}
    assert {path.name: path.stat().st_ino for path in dest.glob("*-*")} == inodes  # renamed


def test_what_is_unsure_keeps_its_name_too(
    trained: Path, many: Path, dest: Path, tmp_path: Path
) -> None:
    limit = middle_score(trained, many, dest)
    aside = tmp_path / "aside"
    options = ("--keep-names", "--min-score", limit, "--unsure", str(aside))
    for _ in range(2):
        result = sort(trained, many, dest, *options)
        assert result.returncode == 0, result.stderr
        for row in rows(dest).values():
            place = aside if float(row["score"]) < float(limit) else dest
            assert dest / row["copy"] == place / row["category"] / Path(row["source"]).name
        assert len(files(dest)) + len(files(aside)) == 240
    assert f"0  copied to {dest}" in result.stdout


def test_kept_names_survive_a_kill(trained: Path, many: Path, dest: Path) -> None:
    with sorting(trained, many, dest, "--keep-names") as process:
        process.kill()
    half = next(name for name in files(dest) if name.endswith(".jpg"))
    (dest / half).with_name(f".{Path(half).name}.part-99999").write_bytes(b"half")
    result = sort(trained, many, dest, "--keep-names")
    assert "sorted before" in result.stderr
    assert_kept(dest, *many.iterdir())


def test_a_link_of_a_category_must_not_lead_into_the_source(
    trained: Path, src: Path, dest: Path
) -> None:
    dest.mkdir()
    (dest / "disc").symlink_to(src)
    assert sort(trained, src, dest, "--keep-names").returncode == 2
    assert len(list(src.iterdir())) == 3
    assert sort(trained, src, dest).returncode == 0  # nothing is written through it


def test_sync_removes_a_folder_that_it_emptied(trained: Path, src: Path, dest: Path) -> None:
    sort(trained, src, dest, "--keep-names")
    (src / "disc.jpg").unlink()
    sort(trained, src, dest, "--keep-names", "--sync")
    assert_kept(dest, *src.iterdir())


# --- dry runs


def test_a_dry_run_writes_the_results_only(
    trained: Path, src: Path, dest: Path, tmp_path: Path
) -> None:
    aside = tmp_path / "aside"
    limit = ("--min-score", "1", "--unsure", str(aside))
    (src / "bad.jpg").write_text("no picture")
    for options in ((), ("--keep-names",), limit):
        result = sort(trained, src, dest, "--dry-run", *options)
        assert result.returncode == 6
        assert {path.name for path in dest.iterdir()} == RESULTS
        assert not aside.exists()
    good = {path: row for path, row in rows(dest).items() if not row["error"]}
    assert {Path(path).stem: row["category"] for path, row in good.items()} == {
        category: category for category in CATEGORIES
    }
    assert all(row["copy"] == "" for row in rows(dest).values())
    assert json.loads((dest / "results.json").read_text()).keys() == good.keys()


def test_a_dry_run_says_what_it_did(trained: Path, src: Path, dest: Path) -> None:
    result = sort(trained, src, dest, "--dry-run")
    assert result.stdout.splitlines()[-1] == f"      3  guessed; nothing was copied to {dest}"


@pytest.mark.parametrize("option", [(), ("--keep-names",)])
def test_after_a_dry_run_the_copies_are_made_without_a_new_guess(
    option: tuple[str, ...], trained: Path, src: Path, dest: Path
) -> None:
    sort(trained, src, dest, "--dry-run")
    scores = json.loads((dest / "results.json").read_text())
    first = next(iter(scores))
    scores[first] = dict(zip(scores[first], [0.75, 0.2, 0.05], strict=True))  # as no model says
    text = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in scores.items())
    (dest / "results.json").write_text(f"{{\n{text}\n}}\n")
    assert f"3  copied to {dest}" in sort(trained, src, dest, *option).stdout
    (assert_kept if option else assert_sorted)(dest, *src.iterdir())
    assert rows(dest)[first]["score"] == "0.75000"


def test_a_dry_run_in_a_sorted_folder_changes_no_copy_and_the_next_run_knows_them(
    trained: Path, src: Path, dest: Path, tmp_path: Path
) -> None:
    sort(trained, src, dest)
    (src / "squares.jpg").unlink()
    draw("stripes", NEW + 1).save(src / "disc.jpg")  # of another picture now
    before = {path: stamp for path, stamp in stamps(dest).items() if path.suffix == ".jpg"}
    newer = bundle(trained, tmp_path / "newer", run=NEXT_RUN)
    for model in (trained, newer):
        sort(model, src, dest, "--dry-run", "--sync")
        assert stamps(dest).items() >= before.items()
        assert rows(dest)[str(src / "disc.jpg")]["category"] == "stripes"
    result = sort(newer, src, dest, "--sync")
    assert "have been edited" not in result.stderr
    assert_sorted(dest, *src.iterdir())


def test_a_dry_run_is_refused_where_another_process_sorts(
    trained: Path, many: Path, src: Path, dest: Path
) -> None:
    with sorting(trained, many, dest) as process:
        process.send_signal(signal.SIGSTOP)
        assert sort(trained, src, dest, "--dry-run").returncode == 8
