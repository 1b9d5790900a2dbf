"""How good a training says it is: each picture is judged by a head that had not seen it."""

import csv
import html
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commands import QUICKEST, kill_when, refused, retrain
from pictures import CATEGORIES, write_jpegs, write_workspace
from retrain.cli.scores import NOTHING

FOLDS = {f"fold {i}" for i in range(5)}
SERIES = "squares"  # the category that is one group
RESULTS = ("split.csv", "metrics.json", "out_of_fold.csv", "history.csv", "confusion.csv")


@dataclass(frozen=True)
class Judged:
    """A training, its pictures in groups of two, one category in a single group."""

    root: Path
    said: str

    @property
    def run(self) -> Path:
        return self.root / "model"


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    root = write_grouped(tmp_path_factory.mktemp("judged") / "tf files é")
    result = retrain("train", root, *QUICKEST)
    assert result.returncode == 0, result.stderr
    return Judged(root, result.stdout)


def write_grouped(root: Path) -> Path:
    """Write a workspace with labels.csv; pictures have names that tell nothing."""
    rows = []
    for category in CATEGORIES:
        for i, path in enumerate(write_jpegs(root / "data", category, 12)):
            group = SERIES if category == SERIES else f"{category} {i // 2}"
            rows.append((path.relative_to(root / "data"), category, group))
    with (root / "data" / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "group"), *rows])
    return root


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def metrics(root: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((root / "model" / "metrics.json").read_text("utf-8"))
    return values


def test_metrics_say_by_whom_it_was_judged_and_what_was_found(judged: Judged) -> None:
    found = metrics(judged.root)
    assert set(found) == {
        *("categories", "judged_by", "cross_fitted", "beyond", "learning_curve"),
        *("in_words", "calibration"),
    }
    assert found["judged_by"] == "cross_fitted"
    figures = found["cross_fitted"]
    assert (figures["pictures"], figures["groups"]) == (24, 12)
    assert figures["effective_pictures"] <= 24
    low, high = figures["interval_95"]
    assert 0 <= low <= figures["accuracy"] <= high <= 1
    for name in ("macro_f1", "log_loss", "calibration_error"):
        low, high = figures[f"{name}_interval_95"]
        assert 0 <= low <= figures[name] <= high
    assert found["calibration"]["pictures"] == 24
    manifest = json.loads((judged.run / "manifest.json").read_text("utf-8"))["metrics"]
    assert manifest["in_words"] == found["in_words"]
    for name in ("pictures", "groups", "accuracy", "interval_95", "macro_f1", "log_loss"):
        assert manifest["cross_fitted"][name] == figures[name]


def test_each_training_picture_is_judged_but_those_without_whom_no_head_knows_the_category(
    judged: Judged,
) -> None:
    answers, split = table(judged.run / "out_of_fold.csv"), table(judged.run / "split.csv")
    assert {row["side"] for row in split} == {"train"}
    expected = {row["path"]: row["fold"] for row in split if row["category"] != SERIES}
    assert {row["path"]: row["side"] for row in answers} == {
        name: f"fold {fold}" for name, fold in expected.items()
    }
    assert {row["side"] for row in answers} == FOLDS
    assert {row["fold"] for row in split if row["category"] == SERIES} == {""}
    of_group: dict[str, set[str]] = {}
    for row in split:
        of_group.setdefault(row["key"], set()).add(row["fold"])
    assert {len(folds) for folds in of_group.values()} == {1}
    losses = [float(row["loss"]) for row in answers]
    assert losses == sorted(losses, reverse=True)
    assert table(judged.run / "predictions.csv") == []


def test_terminal_and_report_open_with_what_the_numbers_mean(judged: Judged) -> None:
    words = metrics(judged.root)["in_words"]
    assert words[0].startswith("On pictures like these: ")
    assert any(one.startswith("With groups of look-alike pictures left out, ") for one in words)
    assert not any(one.startswith("With twice the pictures: ") for one in words)  # of 24
    assert judged.said.splitlines()[: len(words)] == words
    page = html.unescape((judged.run / "report.html").read_text("utf-8"))
    places = [page.index(sentence) for sentence in words]
    assert places == sorted(places)
    assert places[-1] < page.index("Cross-validated head")


def test_whose_figures_they_are_is_said(judged: Judged) -> None:
    said = "\n".join(metrics(judged.root)["in_words"])
    assert "These figures are of 5 heads, each judged on pictures" in said
    assert "has learned from all 36 pictures" in said


def test_a_category_in_one_group_is_named_and_has_no_number(judged: Judged) -> None:
    assert f"No estimate is possible for {SERIES!r}: " in judged.said
    lines = [line.split() for line in judged.said.splitlines() if line.startswith("  ")]
    (line,) = (line for line in lines if line[0] == SERIES)
    assert line[1:] == [NOTHING] * 3 + ["no", "picture", "to", "judge", "by"]
    page = (judged.run / "report.html").read_text("utf-8")
    cells = f"<td>{NOTHING}</td>" * 3 + "<td>0</td>"
    assert f"<bdi>{SERIES}</bdi></th>{cells}" in page
    scores = {one["category"]: one for one in metrics(judged.root)["cross_fitted"]["categories"]}
    assert {name: one["support"] for name, one in scores.items()} == {
        **dict.fromkeys(CATEGORIES, 12),
        SERIES: 0,
    }


def test_the_head_of_each_fold_is_kept_and_gave_the_answers(judged: Judged) -> None:
    labels = (judged.run / "labels.txt").read_text("utf-8").splitlines()
    with np.load(judged.run / "fold_heads.npz") as arrays:
        assert set(arrays) == {f"{part}{i}" for part in ("kernel", "bias") for i in range(5)}
        assert {arrays[f"bias{i}"].shape for i in range(5)} == {(len(labels),)}
        kernels = [arrays[f"kernel{i}"] for i in range(5)]
    assert len({kernel.shape for kernel in kernels}) == 1
    assert not np.array_equal(kernels[0], kernels[1])


def test_killed_in_the_middle_it_ends_the_same(judged: Judged, tmp_path: Path) -> None:
    root = write_grouped(tmp_path / "tf_files")
    kill_when(root, lambda said: "Head:" in said, *QUICKEST)
    kill_when(root, lambda said: "Exporting" in said, *QUICKEST)
    result = retrain("train", root, *QUICKEST)
    assert result.returncode == 0, result.stderr
    assert "Going on with the interrupted training" in result.stderr
    for name in RESULTS[:3]:
        assert (root / "model" / name).read_text() == (judged.run / name).read_text()


def test_with_more_pictures_old_ones_keep_their_folds(judged: Judged, tmp_path: Path) -> None:
    root = tmp_path / "tf_files"
    shutil.copytree(judged.root, root, symlinks=True)
    before = {row["path"]: row["fold"] for row in table(root / "model" / "split.csv")}
    labels = root / "data" / "labels.csv"
    new = write_jpegs(root / "data", SERIES, 4, start=50)
    rows = [f"{path.relative_to(root / 'data')},{SERIES},second series" for path in new]
    labels.write_text("\n".join([labels.read_text().strip(), *rows, ""]))
    result = retrain("train", root, *QUICKEST)
    assert result.returncode == 0, result.stderr
    after = {row["path"]: row["fold"] for row in table(root / "model" / "split.csv")}
    assert {name: after[name] for name, fold in before.items() if fold} == {
        name: fold for name, fold in before.items() if fold
    }
    assert "" not in after.values()  # two series: each judges a head that learned from the other
    assert metrics(root)["cross_fitted"]["pictures"] == 40
    assert "No estimate is possible" not in result.stdout


@pytest.mark.parametrize(("each", "judged_pictures"), [(2, 4), (1, 0)])
def test_of_two_pictures_a_category_each_is_judged_and_of_one_none(
    each: int, judged_pictures: int, tmp_path: Path
) -> None:
    root = write_workspace(tmp_path / "tf_files", each, CATEGORIES[:2])
    result = retrain("train", root, *QUICKEST)
    assert result.returncode == 0, result.stderr
    assert len(table(root / "model" / "out_of_fold.csv")) == judged_pictures
    found = metrics(root)
    assert found["judged_by"] == ("cross_fitted" if judged_pictures else None)
    assert ("No estimate is possible for 'disc', 'stripes'" in result.stdout) == (each == 1)
    assert (root / "model" / "report.html").is_file()
    assert retrain("runs", root).returncode == 0


def test_the_users_own_validation_and_test_are_reported_apart(tmp_path: Path) -> None:
    root = tmp_path / "tf_files"
    for i, (side, each) in enumerate({"train": 8, "valid": 3, "test": 2}.items()):
        for category in CATEGORIES[:2]:
            write_jpegs(root / "data" / side, category, each, start=100 * i)
    result = retrain("train", root, *QUICKEST)
    assert result.returncode == 0, result.stderr
    found = metrics(root)
    pictures = {name: found[name]["pictures"] for name in ("cross_fitted", "validation", "test")}
    assert pictures == {"cross_fitted": 16, "validation": 6, "test": 4}
    assert {row["side"] for row in table(root / "model" / "predictions.csv")} == {
        "validation",
        "test",
    }
    assert all(
        row["path"].startswith("train/") for row in table(root / "model" / "out_of_fold.csv")
    )
    assert "\nYour validation pictures: accuracy " in result.stdout
    assert "\nTest pictures: accuracy " in result.stdout
    assert "no picture is left to judge it by" not in result.stdout
    evaluated = retrain("evaluate", root, "--side", "validation", "--json")
    assert evaluated.returncode == 0, evaluated.stderr
    assert json.loads(evaluated.stdout)["confusion"] == found["validation"]["confusion"]


@pytest.mark.parametrize("share", ["-0.1", "0.9", "some"])
def test_a_share_to_hold_out_that_makes_no_sense_is_refused(share: str, tmp_path: Path) -> None:
    assert "--hold-out" in refused(retrain("train", tmp_path, f"--hold-out={share}"), 2)


def test_where_no_head_could_be_cross_fitted_the_users_pictures_judge(tmp_path: Path) -> None:
    root = tmp_path / "tf"
    for side, start in (("train", 0), ("valid", 100)):
        for category in CATEGORIES[:2]:
            for i, path in enumerate(write_jpegs(tmp_path / "drawn", category, 8, start)):
                place = root / "data" / side / category
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, place / f"{category} {side}_nohash_{i}.jpg")
    result = retrain("train", root, *QUICKEST)
    assert result.returncode == 0, result.stderr
    assert "No estimate is possible" not in result.stdout
    assert "On pictures like these: " in result.stdout
    assert metrics(root)["judged_by"] == "validation"
