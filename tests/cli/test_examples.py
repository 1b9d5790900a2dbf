"""The examples in the help of commands do what they say."""

import shlex
import shutil
from pathlib import Path

import pytest

from commands import retrain
from retrain.cli.main import app

NAMES = {"disc": "boat", "squares": "house", "stripes": "tree"}
OTHER_RUN = "20261101T080000Z-resnet50"  # as the example of compare has it


@pytest.fixture(scope="module")
def folder(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photo.jpg, photos, and tf_files, whose categories are those of the sample."""
    folder = tmp_path_factory.mktemp("examples")
    root = folder / "tf_files"
    shutil.copytree(trained, root, symlinks=True)
    run = root / "runs" / (root / "model").readlink().name
    for old, new in NAMES.items():
        for path in (root / "data" / old).iterdir():
            path.rename(path.with_name(path.name.replace(old, new)))
        (root / "data" / old).rename(root / "data" / new)
        for name in ("manifest.json", "split.csv", "out_of_fold.csv", "predictions.csv"):
            (run / name).write_text((run / name).read_text().replace(old, new))
    shutil.copytree(run, root / "runs" / OTHER_RUN)
    shutil.copy(root / "data" / "boat" / "boat-000.jpg", folder / "photo.jpg")
    shutil.copytree(root / "data" / "tree", folder / "photos")
    return folder


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("show-batch", "tf_files/show-batch.png"),
        ("guess", "photo.jpg"),
        ("guess-dir", "sorted/results.csv"),
        ("evaluate", "evaluation/predictions.csv"),
        ("compare", "photo.jpg"),
        ("explain", "tf_files/explained/photo-gradcam.png"),
        ("report", "report.html"),
        ("export", "tf_files/exported/card/README.md"),
        ("runs", "photo.jpg"),
        ("check", "tf_files/check.csv"),
    ],
)
def test_the_example_of_each_command_runs(name: str, made: str, folder: Path) -> None:
    line = (app.commands[name].help or "").split("Example: retrain ")[1].splitlines()[0]
    result = retrain(*shlex.split(line), cwd=folder)
    assert result.returncode == 0, result.stderr
    assert result.stdout
    assert (folder / made).is_file()
