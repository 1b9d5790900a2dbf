"""A training that was interrupted goes on only where nothing has changed."""

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
    assert "pictures changed sides or groups; split.group_by was None" in said
    result = retrain("train", root, *QUICKEST, "--seed", "3")
    assert result.returncode == 0, result.stderr
    assert "Going on with" in result.stderr  # a command that was stopped has not cost anything
    assert len(list((root / "runs").iterdir())) == 1  # what was interrupted is cleared away
