"""A training that was interrupted goes on only where nothing has changed."""

import shutil
from pathlib import Path

from commands import QUICKEST, kill_when, retrain
from pictures import write_jpegs, write_workspace


def test_with_changed_data_or_options_it_says_so_and_starts_over(tmp_path: Path) -> None:
    root = write_workspace(tmp_path, each=8)
    for _ in range(2):
        said = kill_when(root, lambda said: "Exporting" in said, *QUICKEST)
    assert "Going on with" in said
    write_jpegs(root / "data", "disc", 2, start=50)
    said = kill_when(root, lambda said: "Exporting" in said, *QUICKEST, "--seed", "3")
    line = next(line for line in said.splitlines() if line.startswith("Starting over"))
    assert "2 pictures came, 0 went; seed was 0, is 3." in line
    said = kill_when(root, lambda said: "Exporting" in said, *QUICKEST, "--seed", "3", "--fresh")
    assert "Going on" not in said
    assert len(list((root / "runs").iterdir())) == 1  # no older training comes back
    grouped = ("--seed", "3", "--group-by", r"(\d)\.jpg")
    said = kill_when(root, lambda said: "Exporting" in said, *QUICKEST, *grouped)
    assert "pictures changed sides, groups or folds; split.group_by was None" in said
    result = retrain("train", root, *QUICKEST, "--seed", "3")
    assert result.returncode == 0, result.stderr
    assert "Going on with" in result.stderr  # a command that was stopped has not cost anything
    runs = retrain("runs", root, "--json").stdout
    others = [run.name for run in (root / "runs").iterdir() if run.name not in runs]
    assert len(others) == 1  # of the grouped one
    said = kill_when(root, lambda said: "Exporting" in said, *QUICKEST, *grouped)
    kept = f"not going on with {others[0]}, which is kept: pictures changed sides, groups or folds"
    assert kept in said  # the folds of the training that was finished meanwhile stand


def test_a_finished_training_clears_away_what_was_interrupted_on_the_way_to_it(
    tmp_path: Path,
) -> None:
    root = write_workspace(tmp_path, each=8)
    kill_when(root, lambda said: "Exporting" in said, *QUICKEST)
    (run,) = (root / "runs").iterdir()
    twin = run.with_name(f"{run.name}-2")
    shutil.copytree(run, twin)
    (twin / "checkpoints" / "training.json").write_text(
        (run / "checkpoints" / "training.json")
        .read_text()
        .replace('"device": "CPU"', '"device": "GPU"')
    )
    result = retrain("train", root, *QUICKEST)
    assert result.returncode == 0, result.stderr
    assert [path.name for path in (root / "runs").iterdir()] == [run.name]
