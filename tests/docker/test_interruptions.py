"""However a training in a container ends, the old model stays and the same command works again."""

import os
import pty
import select
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from commands import LONG, QUICK
from containers import PATIENCE, Project, containers, docker, inspect
from pictures import draw

SILENCE = 60  # seconds in which a terminal must show something
LIMIT = 10  # seconds in which a training must end


@pytest.fixture(scope="module")
def root(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained workspace, with some pictures that take a while to check."""
    root = tmp_path_factory.mktemp("interrupted") / "tf_files"
    shutil.copytree(workspace, root, symlinks=True)
    for seed in range(2):
        large = draw("disc", 500 + seed).resize((3000, 3000))
        large.save(root / "data" / "disc" / f"large-{seed}.png", compress_level=1)
    return root


@contextmanager
def in_terminal(project: Project, *line: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start a command in a terminal of its own; yield it and the terminal's other end."""
    ours, theirs = pty.openpty()
    environment = project.environment(TERM="xterm")
    with subprocess.Popen(
        ["setsid", "--ctty", *line], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        try:
            yield process, ours
        finally:
            os.close(ours)  # what still runs is told by SIGHUP


def works(project: Project, root: Path) -> bool:
    """Tell whether the published model still guesses."""
    guess = project.run("guess.sh", root, root / "data" / "disc" / "disc-000.jpg")
    return guess.returncode == 0 and "disc (score = " in guess.stdout


def wait_for(process: subprocess.Popen[str], words: str) -> None:
    """Read a training's stderr up to a line that begins with these words."""
    assert process.stderr is not None
    read = []
    for line in process.stderr:
        read.append(line)
        if line.startswith(words):
            return
    raise AssertionError("".join(read))


@pytest.mark.parametrize(
    ("stage", "options", "number", "code", "word"),
    [
        ("Features: ", QUICK, signal.SIGTERM, 143, "Terminated"),
        ("Fine-tuning: ", LONG, signal.SIGINT, 130, "Interrupted"),
    ],
)
def test_a_signal_ends_a_training_and_the_old_model_stays(
    stage: str,
    options: tuple[str, ...],
    number: signal.Signals,
    code: int,
    word: str,
    project: Project,
    root: Path,
) -> None:
    before = (root / "model").readlink()
    shutil.rmtree(root / "bottlenecks", ignore_errors=True)
    with project.started("train.sh", root, *options) as process:
        wait_for(process, stage)
        (container,) = containers(root)
        shared = {mount["Destination"]: mount["RW"] for mount in inspect(container)["Mounts"]}
        assert shared == {str(root): True, str(project.keras_home): True}
        start = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE)
        assert time.monotonic() - start < LIMIT
    assert process.returncode == code
    assert errors.endswith(f"retrain: {word}. What was finished is kept.\n")
    assert containers(root) == []
    assert (root / "model").readlink() == before
    assert works(project, root)


def read_until(terminal: int, words: str) -> str:
    """Read what a terminal shows until these words, or until nobody is left at its other end."""
    read = b""
    while words.encode() not in read:
        assert select.select([terminal], [], [], SILENCE)[0], read.decode(errors="replace")
        try:
            read += os.read(terminal, 10_000)
        except OSError:  # how Linux says that nobody is left
            break
    return read.decode(errors="replace")


def test_control_c_in_a_terminal_ends_a_training(project: Project, root: Path) -> None:
    with in_terminal(project, *project.line("train.sh", root, *LONG)) as (process, terminal):
        read_until(terminal, "step 1")  # a bar, as only people see it
        os.write(terminal, b"\x03")
        start = time.monotonic()
        assert "retrain: Interrupted. What was" in read_until(terminal, "is kept.")
        assert process.wait(PATIENCE) == 130
        assert time.monotonic() - start < LIMIT
    assert containers(root) == []


def test_a_job_in_the_background_of_a_terminal_answers_too(
    project: Project, workspace: Path
) -> None:
    picture = workspace / "data" / "disc" / "disc-000.jpg"
    command = shlex.join(project.line("guess.sh", workspace, picture))
    with in_terminal(project, "bash", "--norc", "-i") as (shell, terminal):
        os.write(terminal, f"{command} &\n".encode())
        read_until(terminal, "disc (score = ")
        os.write(terminal, b"wait; exit\n")
        assert shell.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    ("stage", "options"),
    [
        ("Backbone: ", QUICK),  # then the pictures are checked
        ("Features: ", QUICK),
        ("Head: ", QUICK),
        ("Fine-tuning: ", LONG),
        ("Exporting ", QUICK),
    ],
)
def test_a_kill_leaves_the_old_model(
    stage: str, options: tuple[str, ...], project: Project, root: Path
) -> None:
    before = (root / "model").readlink()
    shutil.rmtree(root / "bottlenecks", ignore_errors=True)
    with project.started("train.sh", root, *options) as process:
        wait_for(process, stage)
        (container,) = containers(root)
        assert docker("kill", container).returncode == 0
        assert process.wait(PATIENCE) == 137
    assert containers(root) == []
    assert (root / "model").readlink() == before
    assert works(project, root)


def test_after_all_that_the_same_command_goes_through_and_tidies_up(
    project: Project, root: Path
) -> None:
    before = (root / "model").readlink()
    result = project.run("train.sh", root, *QUICK)
    assert result.returncode == 0, result.stderr
    assert (root / "model").readlink() != before
    assert works(project, root)
    finished = {path.parent.name for path in (root / "runs").glob("*/manifest.json")}
    pruned = project.run("retrain.sh", "runs", root, "--prune", "99", "--yes")
    assert pruned.returncode == 0, pruned.stderr  # of other options, which may still go on
    assert {path.name for path in (root / "runs").iterdir()} == finished
