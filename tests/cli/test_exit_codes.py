"""Every exit code of the table, by the real command; an error ends in one line and no traceback.

Trainings take seconds, so all that are needed start at once, two at a time, and each test waits
for its own.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from commands import GUESS_FILES, LONG, QUICK, command, environment, refused, retrain
from disks import disk
from pictures import write_jpegs, write_workspace

ODD_NAMES = {"disc": "../../x", "stripes": "a/b: c?", "squares": "é 🌳"}
NO_NETWORK = "http://127.0.0.1:9"

Result = subprocess.CompletedProcess[str]


class Stopped(NamedTuple):
    """A training that did not come to its end. other: what else ran on its workspace.

    before, after: the published model's files.
    """

    process: int
    result: Result
    other: Result
    before: dict[str, bytes]
    after: dict[str, bytes]
    runs: list[str]


Trainings = dict[str, Future[Result | Stopped]]


@pytest.fixture(scope="module")
def trainings(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Trainings]:
    """All trainings of this file, by name."""
    folder = tmp_path_factory.mktemp("trainings")
    unreadable = folder / "unreadable"
    for category in "ab":
        (unreadable / "data" / category).mkdir(parents=True)
        (unreadable / "data" / category / "text.jpg").write_text("no picture at all")
    one = write_workspace(folder / "one", 2, ("disc",))
    (folder / "empty").mkdir()
    jobs: dict[str, Callable[[], Result | Stopped]] = {
        "no data": partial(retrain, "train", folder / "empty"),
        "one category": partial(retrain, "train", one),
        "unreadable": partial(retrain, "train", unreadable),
        "backbone": partial(retrain, "train", one, "--backbone", "resnet5000"),
        "weights": partial(
            retrain,
            *("train", write_workspace(folder / "tiny", 2), "--backbone", "resnet50"),
            KERAS_HOME=str(folder / "keras"),
            https_proxy=NO_NETWORK,
            no_proxy="",
        ),
        "read only": partial(read_only, folder / "read only"),
    }
    with ThreadPoolExecutor(2) as pool:
        futures = {name: pool.submit(job) for name, job in jobs.items()}
        trained = request.getfixturevalue("trained")  # takes a while itself
        for name, job in {
            "locked": partial(locked, copy(trained, folder / "locked")),
            "terminated": partial(terminated, copy(trained, folder / "terminated")),
            "disk full": partial(disk_full, trained, folder / "disk"),
        }.items():
            futures[name] = pool.submit(job)
        yield futures
        pool.shutdown(cancel_futures=True)


def copy(trained: Path, root: Path) -> Path:
    shutil.copytree(trained, root, symlinks=True)
    return root


def model_files(root: Path) -> dict[str, bytes]:
    """Return the published model: where the link leads, and every file."""
    run = root / "model"
    files = {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*.*")}
    return {"link": os.fsencode(run.readlink()), **files}


@contextlib.contextmanager
def training(root: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a long training; killed at the end if it still runs."""
    with subprocess.Popen(
        command("train", root, *LONG),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        yield process
        process.kill()


def stopped_at(process: subprocess.Popen[str], number: signal.Signals) -> Result:
    """Send a signal once fine-tuning began; return how the process ended."""
    assert process.stderr is not None
    errors = ""
    for line in process.stderr:
        errors += line
        if line.startswith("Fine-tuning: "):
            process.send_signal(number)
    return subprocess.CompletedProcess(process.args, process.wait(), "", errors)


def run_names(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "runs").iterdir())


def locked(root: Path) -> Stopped:
    """Start a second training while one holds the workspace; then SIGINT the first.

    One of its categories is empty.
    """
    before = model_files(root)
    (root / "data" / "nothing yet").mkdir()
    with training(root) as process:
        while f"process {process.pid} " not in (root / ".lock").read_text():
            assert process.poll() is None
            time.sleep(0.05)
        second = retrain("train", root, *QUICK)
        first = stopped_at(process, signal.SIGINT)
    return Stopped(process.pid, first, second, before, model_files(root), run_names(root))


def terminated(root: Path) -> Stopped:
    """SIGTERM a training; then train quickly, with category names that no folder could have."""
    before = model_files(root)
    with training(root) as process:
        result = stopped_at(process, signal.SIGTERM)
    after = model_files(root)
    lines = [
        f"{path.relative_to(root / 'data')},{ODD_NAMES[path.parent.name]}"
        for path in (root / "data").rglob("*.jpg")
    ]
    (root / "data" / "labels.csv").write_text("\n".join(["path,label", *lines]))
    again = retrain("train", root, *QUICK)
    return Stopped(process.pid, result, again, before, after, run_names(root))


def disk_full(trained: Path, folder: Path) -> Stopped:
    """Train where there is room for the bottlenecks, but not for another model."""
    used = sum(path.stat().st_size for path in trained.rglob("*") if path.is_file())
    with disk(folder, f"size={used + 6_000_000}") as small:
        root = copy(trained, small / "tf_files")
        before = model_files(root)
        result = retrain("train", root, *QUICK)
        other = retrain("guess", root, *write_jpegs(folder.parent, "disc", 1))
        return Stopped(0, result, other, before, model_files(root), run_names(root))


def read_only(folder: Path) -> Result:
    if os.geteuid() == 0:  # to whom permissions mean nothing
        with disk(folder, "ro") as root:
            return retrain("train", root)
    folder.mkdir(mode=0o500)
    return retrain("train", folder)


def stopped(future: Future[Result | Stopped]) -> Stopped:
    result = future.result()
    assert isinstance(result, Stopped)
    return result


@pytest.fixture
def bundle(trained: Path, tmp_path: Path) -> Path:
    """A copy of what a guess needs of a model."""
    for name in ("manifest.json", *GUESS_FILES):
        shutil.copy(trained / "model" / name, tmp_path)
    return tmp_path


@pytest.fixture
def picture(trained: Path) -> Path:
    return next((trained / "data" / "disc").iterdir())


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("train", "tf_files", "--frobnicate"), "--frobnicate"),
        (("train", "tf_files", "--fit", "round"), "round"),
        (("guess", "tf_files", "x.jpg", "--top", "0"), "--top"),
        (("guess", "tf_files"), "IMAGE"),
        (("paint",), "paint"),
    ],
)
def test_2_a_wrong_command_line(arguments: tuple[str, ...], named: str) -> None:
    message = refused(retrain(*arguments), 2)
    assert named.lower() in message.lower()
    assert message.endswith("--help")


def test_2_an_unknown_backbone_is_answered_with_the_known(trainings: Trainings) -> None:
    message = refused(trainings["backbone"].result(), 2)
    assert "efficientnet_lite0" in message
    assert "'resnet5000'" in message


def test_3_no_data_folder(trainings: Trainings) -> None:
    assert "/data/<category>/" in refused(trainings["no data"].result(), 3)


def test_3_one_category(trainings: Trainings) -> None:
    assert "only 'disc'" in refused(trainings["one category"].result(), 3)


def test_3_no_file_that_can_be_read(trainings: Trainings) -> None:
    result = trainings["unreadable"].result()
    assert "none that can be read" in refused(result, 3)
    assert isinstance(result, subprocess.CompletedProcess)
    assert "Skipped a/text.jpg: " in result.stderr


def test_an_empty_category_is_named_and_the_rest_trained(trainings: Trainings) -> None:
    lines = stopped(trainings["locked"]).result.stderr.splitlines()
    assert "Category 'nothing yet' is empty and left out." in lines
    assert "72 pictures in 3 categories, 0 files skipped." in lines
    assert any(line.startswith("Fine-tuning: ") for line in lines)


def test_4_weights_out_of_reach(trainings: Trainings) -> None:
    message = refused(trainings["weights"].result(), 4)
    assert "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5" in message
    assert re.search(r"looked for in \S+/keras/models and https://", message)
    assert "Ready here: efficientnet_lite0" in message


@pytest.mark.parametrize("name", ["guess", "guess-dir"])
def test_5_no_model(name: str, tmp_path: Path, picture: Path) -> None:
    source = (picture,) if name == "guess" else (picture.parent, tmp_path / "dest")
    assert "Train one first." in refused(retrain(name, tmp_path, *source), 5)


def test_5_a_damaged_manifest(bundle: Path, picture: Path) -> None:
    (bundle / "manifest.json").write_text("{")
    assert "manifest.json cannot be read" in refused(retrain("guess", bundle, picture), 5)


def test_5_a_manifest_of_a_later_version(bundle: Path, picture: Path) -> None:
    values = json.loads((bundle / "manifest.json").read_text()) | {"format_version": 99}
    (bundle / "manifest.json").write_text(json.dumps(values))
    assert "Update retrain" in refused(retrain("guess", bundle, picture), 5)


@pytest.mark.parametrize("kept", [None, 0, 1000, 5_000_000])
def test_5_a_corrupt_model(bundle: Path, picture: Path, kept: int | None) -> None:
    model = bundle / "model.tflite"
    content = model.read_bytes()
    model.unlink()
    if kept is not None:
        model.write_bytes(content[:kept])
    message = refused(retrain("guess", bundle, picture, "--precision", "float32"), 5)
    assert "model.tflite cannot be read" in message


def test_6_an_input_that_failed(trained: Path, tmp_path: Path) -> None:
    result = retrain("guess", trained, tmp_path / "missing.jpg")
    assert result.returncode == 6
    assert result.stderr.splitlines() == [
        f"retrain: {tmp_path / 'missing.jpg'}: No such file or directory",
        "retrain: 1 of 1 picture could not be guessed.",
    ]


def test_8_a_read_only_workspace(trainings: Trainings) -> None:
    message = refused(trainings["read only"].result(), 8)
    assert "read-only" in message or "No permission" in message


def test_8_a_second_training_at_the_same_time(trainings: Trainings) -> None:
    training = stopped(trainings["locked"])
    assert f"process {training.process} on " in refused(training.other, 8)


def test_8_a_full_disk_while_training(trainings: Trainings) -> None:
    training = stopped(trainings["disk full"])
    assert "The disk is full" in refused(training.result, 8)
    assert training.after == training.before
    assert len(training.runs) == 1
    assert training.other.returncode == 0, "the old model no longer works"


def test_130_an_interrupted_training_leaves_the_old_model(trainings: Trainings) -> None:
    training = stopped(trainings["locked"])
    assert "Interrupted" in refused(training.result, 130)
    assert training.after == training.before


def test_143_a_terminated_training_leaves_the_old_model_and_the_next_one_works(
    trainings: Trainings,
) -> None:
    training = stopped(trainings["terminated"])
    assert "Terminated" in refused(training.result, 143)
    assert training.after == training.before
    assert training.other.returncode == 0, training.other.stderr
    assert all(name in training.other.stdout for name in ODD_NAMES.values())
    assert len(training.runs) == 3, "it had other options, so it may still go on"
