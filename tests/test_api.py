"""The Python API, as a notebook uses it."""

import inspect
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import retrain
from commands import QUICKEST, ROOT, environment
from pictures import draw, encoded, write_jpegs, write_workspace
from retrain.api import Model
from retrain.cli.train import command as train_command
from retrain.errors import BundleError, DataError, InputsFailed, UsageError

SETTINGS: dict[str, Any] = {
    "backbone": "mobilenetv2_035",
    "weights": "none",
    "size": 64,
    "fine_tune": "never",
    "int8": False,
}


@pytest.fixture(scope="module")
def model(trained: Path) -> Model:
    return retrain.load(trained)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return write_jpegs(tmp_path, "disc", 1, start=700)[0]


def test_what_is_offered_is_documented_and_nothing_else() -> None:
    assert retrain.__all__ == dir(retrain) == ["errors", "load", "train"]
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in ("train", "load"):
        assert f"retrain.{name}(" in page
        assert inspect.getdoc(getattr(retrain, name))
    with pytest.raises(AttributeError, match="no attribute 'guess'"):
        retrain.guess  # noqa: B018


@pytest.mark.slow
def test_a_training_in_python_is_the_one_of_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_workspace(tmp_path / "tf files é", each=12)
    run = retrain.train(root, progress=False, **SETTINGS)
    assert capsys.readouterr() == ("", "")
    assert run.folder.parent == root / "runs"
    assert run.report.is_file()
    assert run.accuracy is not None
    assert run.interval is not None
    assert run.interval[0] <= run.accuracy <= run.interval[1]
    again = retrain.train(root, seed=1, **SETTINGS)
    assert again.folder != run.folder
    assert "pictures in 3 categories" in capsys.readouterr().err
    assert retrain.load(root).run == again
    assert "--backbone" in QUICKEST  # the same settings as options


def test_settings_are_the_options_of_the_command_line(tmp_path: Path) -> None:
    shown = inspect.signature(retrain.train).parameters
    options = {max(o.opts, key=len) for o in train_command.params if o.param_type_name == "option"}
    names = {f"--{name.replace('_', '-')}" for name in shown} - {"--tf-files", "--progress"}
    assert names | {"--json"} == options
    assert shown["minutes"].default == 30
    with pytest.raises(TypeError, match="no setting 'epoch'"):
        retrain.train(tmp_path, epoch=3)
    with pytest.raises(UsageError, match="value of epochs is wrong: 0 is not in the range"):
        retrain.train(tmp_path, epochs=0)
    with pytest.raises(UsageError, match="value of lr is wrong: must be one rate"):
        retrain.train(tmp_path, lr=(1e-3, 1e-4))


def test_errors_are_exceptions_with_the_exit_code_of_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(DataError) as raised:
        retrain.train(tmp_path / "nowhere")
    assert raised.value.exit_code == 3
    with pytest.raises(BundleError):
        retrain.load(tmp_path)


def test_all_kinds_of_pictures_get_the_same_answer(model: Model, picture: Path) -> None:
    best = model.guess(picture).best
    assert best.category == "disc"
    opened = Image.open(picture)
    array = np.asarray(opened)
    for same in (str(picture), picture.read_bytes(), opened, array):
        assert model.guess(same).best == best
    grey = model.guess(array[..., 0])
    assert sum(score.probability for score in grey.scores) == pytest.approx(1, abs=1e-5)
    assert str(grey).count("(score = ") == 3


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"<html>", "web page|HTML|no picture"),
        ("nowhere.jpg", "No such file"),
        (np.zeros((4, 4, 3)), "float64"),
        (np.zeros((0, 4, 3), np.uint8), "array"),
        (np.zeros((4, 4, 5), np.uint8), "no picture"),
    ],
)
def test_a_picture_that_cannot_be_read_is_an_error(bad: object, reason: str, model: Model) -> None:
    with pytest.raises(InputsFailed, match=reason):
        model.guess(bad)  # type: ignore[arg-type]
    (found,) = model.guess_all([bad])  # type: ignore[list-item]
    assert found.error
    assert found.scores == ()


def test_many_pictures_stream_in_order(model: Model, tmp_path: Path) -> None:
    paths = [*write_jpegs(tmp_path, "disc", 9, 800), *write_jpegs(tmp_path, "stripes", 9, 800)]
    taken = []

    def endless() -> Iterator[Path]:
        while True:
            for path in paths:
                taken.append(path)
                yield path

    found = model.guess_all(endless())
    first = [next(found) for _ in range(2 * len(paths))]
    assert [guess.path for guess in first] == paths * 2
    assert len(taken) < 3 * len(paths)


def test_folders_are_sorted_and_models_judged(model: Model, trained: Path, tmp_path: Path) -> None:
    source = tmp_path / "photos"
    for i, category in enumerate(("disc", "stripes", "noise")):
        write_jpegs(source, category, 2, start=600 + i)
    result = model.sort(source, tmp_path / "sorted", recursive=True, progress=False)
    assert sum(result.counts.values()) == 6
    assert (tmp_path / "sorted" / "results.csv").is_file()
    found = model.evaluate(trained / "data", progress=False)
    assert np.trace(np.array(found.confusion)) / found.scores.pictures == found.accuracy
    with pytest.raises(UsageError, match="needs a folder"):
        model.sort(source, tmp_path / "other", min_score=0.6)


def test_an_explanation_is_a_picture_that_a_notebook_shows(model: Model, picture: Path) -> None:
    drawn = model.explain(picture, ["disc", "stripes"])
    assert min(drawn.size) > 200
    assert drawn._repr_png_()
    with pytest.raises(UsageError, match="category must be one of"):
        model.explain(picture, ["cat"])
    with pytest.raises(InputsFailed):
        model.explain(b"no picture")


def test_guesses_in_python_do_not_import_tensorflow(trained: Path, picture: Path) -> None:
    script = (
        "import sys, retrain\n"
        "assert not {'retrain.api', 'numpy'} & sys.modules.keys()\n"
        "model = retrain.load(sys.argv[1])\n"
        "assert model.guess(sys.argv[2]).best.category == 'disc'\n"
        "assert not {'tensorflow', 'keras', 'matplotlib'} & sys.modules.keys()\n"
    )
    line = [sys.executable, "-c", script, str(trained), str(picture)]
    subprocess.run(line, env=environment(), check=True)


def test_threads_share_a_model(model: Model, tmp_path: Path) -> None:
    contents = [encoded(draw("squares", seed), "PNG") for seed in range(40)]
    alone = [model.guess(content).best for content in contents]
    with ThreadPoolExecutor(8) as pool:
        assert [guess.best for guess in pool.map(model.guess, contents)] == alone
