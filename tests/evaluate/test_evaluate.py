"""`retrain evaluate` and `retrain compare` on real models and labelled pictures."""

import csv
import json
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from commands import QUICK, refused, retrain
from pictures import CATEGORIES, write_jpegs
from retrain.jobs.compare import compare
from retrain.progress import Advance, Silent


@pytest.fixture(scope="module")
def two_runs(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs of one workspace; the second sees 64 pixels only."""
    root = tmp_path_factory.mktemp("two") / "tf_files"
    shutil.copytree(trained, root, symlinks=True)
    first = root / "runs" / (root / "model").readlink().name
    result = retrain("train", root, *QUICK, "--size", "64", "--seed", "1")
    assert result.returncode == 0, result.stderr
    return first, root / "model"


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """New pictures of known categories."""
    for category in CATEGORIES:
        write_jpegs(tmp_path / "labelled é", category, 4, start=700)
    return tmp_path / "labelled é"


def as_json(*arguments: str | Path) -> dict[str, Any]:
    result = retrain(*arguments, "--json")
    assert result.returncode == 0, result.stderr
    values: dict[str, Any] = json.loads(result.stdout)
    return values


def split(root: Path, side: str) -> set[str]:
    with (root / "model" / "split.csv").open(newline="") as file:
        return {row["path"] for row in csv.DictReader(file) if row["side"] == side}


def confusion(folder: Path) -> dict[tuple[str, str, str], int]:
    with (folder / "confusion.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {(row["side"], row["category"], row["guess"]): int(row["pictures"]) for row in rows}


def metrics_of(root: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((root / "model" / "metrics.json").read_text())
    return values


def test_a_run_keeps_its_confusions_as_csv(trained: Path) -> None:
    metrics = metrics_of(trained)
    names = metrics["categories"]
    found: Counter[tuple[str, str, str]] = Counter()
    for (side, category, guess), count in confusion(trained / "model").items():
        found["test" if side == "test" else "cross_fitted", category, guess] += count
    assert found == {
        (side, names[i], names[j]): count
        for side in ("cross_fitted", "test")
        for i, row in enumerate(metrics[side]["confusion"])
        for j, count in enumerate(row)
        if count
    }


def test_the_test_of_a_training_scores_as_it_did_then(trained: Path) -> None:
    values = as_json("evaluate", trained, "--side", "test")
    metrics = metrics_of(trained)["test"]
    assert {entry["name"] for entry in values["predictions"]} == split(trained, "test")
    for name in ("pictures", "groups", "accuracy", "interval_95", "macro_f1", "confusion"):
        assert values[name] == metrics[name]
    assert values["log_loss"] == pytest.approx(metrics["log_loss"], abs=1e-3)


def test_without_a_side_it_is_what_was_said_of_each_training_picture_by_who_had_not_seen_it(
    trained: Path,
) -> None:
    values, metrics = as_json("evaluate", trained), metrics_of(trained)["cross_fitted"]
    assert {entry["name"] for entry in values["predictions"]} == split(trained, "train")
    assert {entry["side"] for entry in values["predictions"]} == {f"fold {i}" for i in range(5)}
    for name in ("pictures", "accuracy", "interval_95", "confusion", "categories", "log_loss"):
        assert values[name] == metrics[name]
    assert values["calibration_error"] == pytest.approx(metrics["calibration_error"], abs=1e-5)


def edited(run: Path, file: str, edit: Callable[[dict[str, Any]], object]) -> None:
    """Change a JSON file of a run."""
    values = json.loads((run / file).read_text())
    edit(values)
    (run / file).write_text(json.dumps(values))


@pytest.mark.parametrize("kept", ["head", "fine_tune"])
def test_figures_of_other_pictures_are_not_put_beside_what_was_said_of_training_pictures(
    kept: str, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained / "model", tmp_path / "model")

    def test_leads(manifest: dict[str, Any]) -> None:
        manifest["kept"] = kept
        manifest["metrics"]["judged_by"] = "test"
        manifest["metrics"]["test"].update(accuracy=0.125, interval_95=[0.1, 0.2])

    edited(tmp_path / "model", "manifest.json", test_leads)
    values, metrics = as_json("evaluate", tmp_path / "model"), metrics_of(trained)["cross_fitted"]
    assert values["pictures"] == metrics["pictures"]
    right = [entry["right"] for entry in values["predictions"]]
    expected = metrics["accuracy"] if kept == "head" else sum(right) / len(right)
    assert values["accuracy"] == pytest.approx(expected)
    assert values["interval_95"][0] <= values["accuracy"] <= values["interval_95"][1]


@pytest.mark.parametrize("content", ["", "path,side,category,guess,score,score_of_category,loss\n"])
def test_where_nothing_was_said_of_training_pictures_the_test_pictures_judge(
    content: str, trained: Path, tmp_path: Path
) -> None:
    root = tmp_path / "tf_files"
    shutil.copytree(trained, root, symlinks=True)
    (root / "model" / "out_of_fold.csv").write_text(content)
    values = as_json("evaluate", root)
    assert values["source"] == "the test pictures of its training"
    assert {entry["name"] for entry in values["predictions"]} == split(root, "test")
    compared = as_json("compare", root, trained)  # one of two has answers
    assert [one["pictures"] for one in compared["scores"]] == [values["pictures"]] * 2
    assert retrain("report", root).returncode == 0


def test_a_side_that_nothing_is_on_is_refused(trained: Path) -> None:
    message = refused(retrain("evaluate", trained, "--side", "validation"), 3)
    assert "must have held back validation pictures" in message


def test_the_worst_come_first_and_all_are_written(
    trained: Path, labelled: Path, tmp_path: Path
) -> None:
    wrong = labelled / "disc" / 'a stripe, "called" <disc>.jpg'
    shutil.copy(labelled / "stripes" / "stripes-700.jpg", wrong)
    output = tmp_path / "new" / "folder"
    result = retrain("evaluate", trained, "--data", labelled, "--output", output)
    assert result.returncode == 0, result.stderr
    assert "Worst first:\n  disc/a stripe, " in result.stdout
    assert "but it is disc" in result.stdout
    with (output / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert (rows[0]["path"], rows[0]["guess"]) == (f"disc/{wrong.name}", "stripes")
    losses = [float(row["loss"]) for row in rows]
    assert losses == sorted(losses, reverse=True)
    assert len(rows) == 13
    assert sum(confusion(output).values()) == 13
    assert confusion(output)["", "disc", "stripes"] >= 1
    with Image.open(output / "top-losses.png") as sheet:
        assert sheet.width > sheet.height > 300


def test_what_cannot_be_judged_is_named(trained: Path, labelled: Path) -> None:
    (labelled / "disc" / "text.jpg").write_text("no picture")
    write_jpegs(labelled, "noise, unheard of", 1)
    result = retrain("evaluate", trained, "--data", labelled)
    assert result.returncode == 6
    assert "retrain: disc/text.jpg: " in result.stderr
    assert "the model does not know the category 'noise, unheard of'" in result.stderr
    assert "2 pictures could not be evaluated" in result.stderr
    assert "12 pictures" in result.stdout


def test_pictures_of_the_training_are_told_from_new_ones(trained: Path, labelled: Path) -> None:
    seen = sorted(split(trained, "train"))[0]
    shutil.copy(trained / "data" / seen, labelled / Path(seen).parent.name / "new name.jpg")
    result = retrain("evaluate", trained, "--data", labelled)
    run = (trained / "model").readlink().name
    assert f"1 of 13 pictures were used to train {run}:" in result.stderr


def test_grouped_pictures_of_the_training_are_told_too(trained: Path, tmp_path: Path) -> None:
    root = tmp_path / "tf_files"
    shutil.copytree(trained, root, symlinks=True)
    lines = (root / "model" / "split.csv").read_text().splitlines()
    grouped = [
        ",".join([*line.split(",")[:2], f"group:{i}", line.split(",")[3]])
        for i, line in enumerate(lines[1:])
    ]
    (root / "model" / "split.csv").write_text("\n".join(["path,category,key,side", *grouped]))
    result = retrain("evaluate", root, "--data", root / "data")
    used = len(split(root, "train"))
    assert f"{used} of 72 pictures were used to train " in result.stderr


def test_runs_may_lie_on_another_disk(trained: Path, tmp_path: Path) -> None:
    root = tmp_path / "tf_files"
    shutil.copytree(trained, root, symlinks=True)
    (root / "runs").rename(tmp_path / "elsewhere")
    (root / "runs").symlink_to(tmp_path / "elsewhere")
    found = as_json("evaluate", root, "--side", "test")
    assert found["pictures"] == len(split(root, "test"))


@pytest.mark.parametrize("name", ["evaluate", "explain", "report"])
def test_an_output_that_cannot_be_is_refused(name: str, trained: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    picture = trained / "data" / "disc" / "disc-000.jpg"
    more = (picture,) if name == "explain" else ()
    refused(retrain(name, trained, *more, "--output", file / "inside" / "x.html"), 2)
    assert file.read_text() == "mine"


def test_a_bundle_alone_tells_what_its_training_found_and_asks_for_other_pictures(
    trained: Path, labelled: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(trained / "model", bundle)
    assert as_json("evaluate", bundle)["pictures"] == len(split(trained, "train"))
    assert "--data" in refused(retrain("evaluate", bundle, "--side", "test"), 3)
    assert as_json("evaluate", bundle, "--data", labelled)["accuracy"] > 0.5


def test_nothing_that_the_model_knows(trained: Path, tmp_path: Path) -> None:
    write_jpegs(tmp_path / "others", "noise", 2)
    message = refused(retrain("evaluate", trained, "--data", tmp_path / "others"), 3)
    assert "disc, squares, stripes" in message
    assert "noise" in message


def test_a_folder_or_a_side_but_not_both(trained: Path, labelled: Path) -> None:
    refused(retrain("evaluate", trained, "--data", labelled, "--side", "test"), 2)


def test_a_picture_that_went_away_is_named(trained: Path, tmp_path: Path) -> None:
    root = tmp_path / "tf_files"
    shutil.copytree(trained, root, symlinks=True)
    gone = sorted(split(root, "test"))[0]
    (root / "data" / gone).unlink()
    result = retrain("evaluate", root, "--side", "test")
    assert result.returncode == 6
    assert f"retrain: {gone}: no longer there" in result.stderr


def replace_and_move(root: Path) -> tuple[str, str, str]:
    """Replace one test picture, rename another, and move a third to another category."""
    replaced, renamed, corrected = sorted(split(root, "test"))[:3]
    data = root / "data"
    shutil.copy(data / sorted(split(root, "train"))[0], data / replaced)
    (data / renamed).rename(data / renamed.replace(".jpg", " in 2019.jpg"))
    other = next(c for c in CATEGORIES if not corrected.startswith(c))
    (data / corrected).rename(data / other / "corrected.jpg")
    return replaced, renamed, f"{other}/corrected.jpg"


@pytest.mark.parametrize("columns", [4, 5, 6])
def test_pictures_held_back_are_known_by_their_content(
    columns: int, trained: Path, tmp_path: Path
) -> None:
    root = tmp_path / "tf_files"
    shutil.copytree(trained, root, symlinks=True)
    before = as_json("evaluate", root, "--side", "test")["pictures"]
    lines = [line.split(",") for line in (root / "model" / "split.csv").read_text().splitlines()]
    text = "\n".join(",".join(line[:columns]) for line in lines)  # 6 today
    (root / "model" / "split.csv").write_text(text)
    replaced, renamed, corrected = replace_and_move(root)
    result = retrain("evaluate", root, "--side", "test", "--json")
    assert result.returncode == 6, result.stderr
    assert f"retrain: {replaced}: another picture took its place" in result.stderr
    found = {entry["name"]: entry for entry in json.loads(result.stdout)["predictions"]}
    assert len(found) == before - 1
    assert replaced not in found
    assert found[renamed.replace(".jpg", " in 2019.jpg")]["category"] == renamed.split("/")[0]
    assert found[corrected]["category"] == corrected.split("/")[0]


def test_a_whole_category_that_was_renamed_is_found_again(trained: Path, tmp_path: Path) -> None:
    root = tmp_path / "tf_files"
    shutil.copytree(trained, root, symlinks=True)
    before = as_json("evaluate", root, "--side", "test")
    (root / "data" / "disc").rename(root / "data" / "circles")
    after = as_json("evaluate", root, "--side", "test")
    assert after["confusion"] == before["confusion"]


def test_models_are_compared_on_pictures_of_the_same_content(
    two_runs: tuple[Path, Path], tmp_path: Path
) -> None:
    root = tmp_path / "tf_files"
    shutil.copytree(two_runs[0].parent.parent, root, symlinks=True)
    compared = ("compare", root / "runs" / two_runs[0].name, root / "model", "--side", "test")
    before = as_json(*compared)
    replaced, *_ = replace_and_move(root)
    result = retrain(*compared, "--json")
    assert result.returncode == 6, result.stderr
    assert f"retrain: {replaced}: another picture took its place" in result.stderr
    counts = [scores["pictures"] for scores in json.loads(result.stdout)["scores"]]
    assert counts == [before["scores"][0]["pictures"] - 1] * 2


def test_a_model_is_as_good_as_itself(trained: Path) -> None:
    for side in ((), ("--side", "test")):
        values = as_json("compare", trained, trained / "model", *side)
        assert values["scores"][0] == values["scores"][1]
        assert (values["only_first"], values["only_second"], values["p_value"]) == ([], [], 1.0)


def test_two_models_are_compared_on_the_same_pictures(
    two_runs: tuple[Path, Path], labelled: Path
) -> None:
    for i, category in enumerate(CATEGORIES):
        other = labelled / CATEGORIES[i - 1] / f"{category} in the wrong folder.jpg"
        shutil.copy(labelled / category / f"{category}-700.jpg", other)
    write_jpegs(labelled, "noise", 8)
    for i, path in enumerate((labelled / "noise").iterdir()):
        path.rename(labelled / CATEGORIES[i % 3] / path.name)
    (labelled / "noise").rmdir()
    values = as_json("compare", *two_runs, "--data", labelled)
    assert values["only_first"] or values["only_second"]
    both = [as_json("evaluate", run, "--data", labelled) for run in two_runs]
    right = [{p["name"] for p in one["predictions"] if p["right"]} for one in both]
    for i, name in enumerate(("only_first", "only_second")):
        assert values["scores"][i]["accuracy"] == both[i]["accuracy"]
        assert {entry["name"] for entry in values[name]} == right[i] - right[1 - i]


def test_without_pictures_models_are_compared_by_what_was_said_of_training_pictures(
    two_runs: tuple[Path, Path],
) -> None:
    result = retrain("compare", *two_runs)
    assert result.returncode == 0, result.stderr
    assert "the difference is no more than chance explains." in result.stdout
    values = as_json("compare", *two_runs)
    found = [{row["path"]: row for row in out_of_fold(run)} for run in two_runs]
    common = found[0].keys() & found[1].keys()
    assert [scores["pictures"] for scores in values["scores"]] == [len(common)] * 2
    right = [{n for n in common if one[n]["guess"] == one[n]["category"]} for one in found]
    for i, name in enumerate(("only_first", "only_second")):
        assert {entry["name"] for entry in values[name]} == right[i] - right[1 - i]


def out_of_fold(run: Path) -> list[dict[str, str]]:
    with (run / "out_of_fold.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def put_together(run: Path, names: Collection[str], column: str) -> None:
    """Write down in a run's split that pictures belong together."""
    with (run / "split.csv").open(newline="") as file:
        pictures = list(csv.DictReader(file))
    for row in pictures:
        row[column] = "group:one" if row["path"] in names else row[column]
    with (run / "split.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(pictures[0]))
        writer.writeheader()
        writer.writerows(pictures)


def test_related_pictures_widen_the_interval_of_a_test(trained: Path, tmp_path: Path) -> None:
    root = tmp_path / "tf_files"
    shutil.copytree(trained, root, symlinks=True)
    before = as_json("evaluate", root, "--side", "test")
    put_together(root / "model", split(root, "test"), "related")
    after = as_json("evaluate", root, "--side", "test")
    assert (after["groups"], after["accuracy"]) == (1, before["accuracy"])
    assert after["interval_95"][0] < before["interval_95"][0]
    scores = as_json("compare", root, trained, "--side", "test")["scores"]
    assert [one["interval_95"] for one in scores] == [after["interval_95"]] * 2


@pytest.mark.parametrize(("column", "told_by"), [("key", 0), ("related", 1)])
def test_pictures_of_one_group_are_one_witness(
    column: str, told_by: int, two_runs: tuple[Path, Path], tmp_path: Path
) -> None:
    copies = [tmp_path / str(i) for i in range(2)]
    for run, copy in zip(two_runs, copies, strict=True):
        shutil.copytree(run, copy)
    both = [{row["path"] for row in out_of_fold(copy)} for copy in copies]
    chosen = sorted(both[0] & both[1])[:8]  # which the first names rightly, and the second does not
    for number, copy in enumerate(copies):
        for row in (own := out_of_fold(copy)):
            true = CATEGORIES.index(row["category"])
            row["guess"] = CATEGORIES[true - (number == 1 and row["path"] in chosen)]
        with (copy / "out_of_fold.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(own[0]))
            writer.writeheader()
            writer.writerows(own)
    assert as_json("compare", *copies)["p_value"] == pytest.approx(2 / 2**8)
    put_together(copies[told_by], chosen, column)
    found = as_json("compare", *copies)
    assert found["p_value"] == 1.0
    pictures = found["scores"][0]["pictures"]
    assert [one["groups"] for one in found["scores"]] == [pictures - len(chosen) + 1] * 2


class Bars(Silent):
    """Notes which bars were shown, and how far they came."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, int, int]] = []

    @contextmanager
    def bar(self, label: str, total: int) -> Iterator[Advance]:
        steps = [0]
        yield lambda count: steps.append(count)
        self.shown.append((label, total, sum(steps)))


def test_labelled_pictures_are_read_once_to_be_known_with_a_bar(
    two_runs: tuple[Path, Path], labelled: Path
) -> None:
    bars = Bars()
    compare(*two_runs, labelled, None, bars)
    assert bars.shown == [
        ("comparing with training pictures", 12, 12),
        ("guessing", 12, 12),
        ("guessing", 12, 12),
    ]


def test_models_of_other_categories_are_not_compared(trained: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(trained / "model", bundle)
    values = json.loads((bundle / "manifest.json").read_text())
    values["labels"] = ["a", "b", "c"]
    (bundle / "manifest.json").write_text(json.dumps(values))
    assert "the same categories" in refused(retrain("compare", trained, bundle), 2)
