"""Paths mean the same on both sides of the container's wall, however they are written."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from commands import refused
from containers import Project

ODD = 'a, "b": c é 🌳'
SCORE = re.compile(r"disc \(score = 0\.\d{5}\)")

Prepare = Callable[[Path], tuple[str, ...]]


def link(path: Path, target: str | Path) -> str:
    path.symlink_to(target)
    return path.name


def move(path: Path, name: str) -> str:
    return str(path.rename(path.with_name(name)))


def copied(path: Path, name: str) -> str:
    shutil.copy(path, path.with_name(name))
    return name


def written_down(model: Path) -> str:
    """Turn a model's link into a file with the run's name, as where there are no links."""
    run = model.readlink().name
    model.unlink()
    model.write_text(f"{run}\n")
    return "own/model"


# What is done to a folder that holds `own`, a trained workspace, and the picture `p.jpg`; and the
# arguments of a guess in it.
WAYS: dict[str, Prepare] = {
    "relative": lambda _: ("own", "p.jpg"),
    "a dot in front": lambda _: ("./own", "./p.jpg"),
    "up and down again": lambda f: (f"../{f.name}/own", "own/../p.jpg"),
    "a slash at the end": lambda _: ("own/", "p.jpg"),
    "two slashes": lambda f: (f"{f}//own", f"{f}//p.jpg"),
    "one file by three names": lambda f: ("own", "p.jpg", ".//p.jpg", f"{f}/./p.jpg"),
    "spaces, signs and unicode": lambda f: (move(f / "own", ODD), move(f / "p.jpg", f"{ODD}.jpg")),
    "a backslash and a dollar": lambda f: ("own", move(f / "p.jpg", "a\\b $HOME `c`.jpg")),
    "a line break": lambda f: ("own", move(f / "p.jpg", "a\nb.jpg")),
    "a dash in front": lambda f: ("--top", "1", "own", "--", copied(f / "p.jpg", "-p.jpg")),
    "a dash after a dot": lambda f: ("own", f"./{copied(f / 'p.jpg', '-p.jpg')}"),
    "a picture named as a value": lambda f: (f"--top={copied(f / 'p.jpg', '1')}", "own", "1"),
    "a link to the workspace": lambda f: (link(f / "link", "own"), "p.jpg"),
    "a link to a picture": lambda f: ("own", link(f / "link.jpg", f / "p.jpg")),
    "a picture of the workspace": lambda _: ("own", "own/data/disc/disc-000.jpg"),
    "a bundle": lambda f: (f"own/runs/{(f / 'own' / 'model').readlink().name}", "p.jpg"),
    "through the published model's link": lambda _: ("own/model", "p.jpg"),
    "through the published model's file": lambda f: (written_down(f / "own" / "model"), "p.jpg"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_guess_finds_its_paths(way: str, project: Project, own: Path, picture: Path) -> None:
    folder = own.parent
    shutil.copy(picture, folder / "p.jpg")
    result = project.run("guess.sh", *WAYS[way](folder), cwd=folder)
    assert result.returncode == 0, result.stderr
    assert SCORE.search(result.stdout)


@pytest.mark.parametrize("way", ["own", "own/", "own/model", "own/runs/RUN"])
def test_a_model_is_judged_by_the_pictures_of_its_workspace(
    way: str, project: Project, workspace: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    shutil.copytree(workspace, own, symlinks=True)
    run = (own / "model").readlink().name
    path = way.replace("RUN", run)
    result = project.run("retrain.sh", "evaluate", path, "--json", cwd=own.parent)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["run"] == run
    result = project.run("retrain.sh", "report", path, cwd=own.parent)
    assert result.returncode == 0, result.stderr
    assert "Missing" not in result.stderr
    result = project.run("retrain.sh", "compare", path, "own/model", cwd=own.parent)
    assert result.returncode == 0, result.stderr
    assert "\np = 1: the difference is no more than chance explains." in result.stdout


def test_deleting_asks_through_the_wall(project: Project, own: Path) -> None:
    line = project.line("retrain.sh", "runs", own, "--prune", "0")
    first = own / "runs" / (own / "model").readlink().name
    second = own / "runs" / "20200101T000000Z-older"
    shutil.copytree(first, second)
    manifest = second / "manifest.json"  # which names its run; another name would be a copy
    manifest.write_text(manifest.read_text("utf-8").replace(first.name, second.name), "utf-8")
    asked = subprocess.run(
        line, input="y\n", capture_output=True, text=True, env=project.environment(), check=False
    )
    assert asked.returncode == 0, asked.stderr
    assert not second.exists()
    assert first.is_dir()


def test_an_old_bash_spells_paths_the_same_way(project: Project, own: Path, picture: Path) -> None:
    shutil.copy(picture, own.parent / "p.jpg")
    result = project.run("guess.sh", "own", ".//p.jpg", cwd=own.parent, BASH_COMPAT="4.2")
    assert result.returncode == 0, result.stderr
    assert SCORE.match(result.stdout)


def test_a_working_directory_behind_a_link_is_the_same_folder(
    project: Project, own: Path, picture: Path
) -> None:
    (own.parent / ODD).mkdir()
    there = own.parent / ODD / "there"
    there.symlink_to(own.parent)
    shutil.copy(picture, own.parent / "p.jpg")
    result = project.run("guess.sh", there / "own", "p.jpg", cwd=there, PWD=str(there))
    assert result.returncode == 0, result.stderr
    assert SCORE.match(result.stdout)


def test_debug_may_stand_before_the_command(project: Project, own: Path, tmp_path: Path) -> None:
    (tmp_path / "sorted").mkdir()
    arguments = ("--debug", "guess-dir", own, own / "data" / "disc", "sorted")
    result = project.run("retrain.sh", *arguments, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "sorted" / "results.csv").is_file()


@pytest.mark.parametrize("deep", ["sorted", "new/deeper/sorted/"])
def test_a_destination_that_does_not_exist_is_made(
    deep: str, project: Project, own: Path, tmp_path: Path
) -> None:
    result = project.run("guessDir.sh", own, "own/data/disc", deep, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert len(list((tmp_path / deep).glob("disc-*.jpg"))) >= 20
    assert (tmp_path / deep).stat().st_uid == os.geteuid()


@pytest.mark.parametrize("option", ["--unsure=new/aside", "--unsure aside"])
def test_unsure_pictures_are_set_aside_in_a_folder_that_is_made(
    option: str, project: Project, own: Path, tmp_path: Path
) -> None:
    limit = ("--min-score", "1", *option.split())
    result = project.run("guessDir.sh", *limit, own, "own/data/disc", "sorted", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    folder = tmp_path / option.replace("=", " ").split()[1]
    assert len(list(folder.iterdir())) >= 20
    assert folder.stat().st_uid == os.geteuid()


def test_training_takes_options_first_odd_names_and_a_weights_file_that_is_missing(
    project: Project, own: Path
) -> None:
    own.rename(own.with_name(ODD))
    arguments = ("--size", "128", f"../{own.parent.name}/{ODD}/", "--weights", "nowhere.h5")
    result = project.run("train.sh", *arguments, cwd=own.parent)
    assert "at 128 px" in result.stderr
    assert "72 pictures in 3 categories, 0 files skipped." in result.stderr
    message = "Weights must be imagenet, none or a file. Received: 'nowhere.h5'"
    assert message in refused(result, 4)
    assert not own.with_name("nowhere.h5").exists()


@pytest.mark.parametrize("option", ["--weights=~/w.h5", "--weights own/../w.h5"])
def test_a_weights_file_is_seen_by_training(option: str, project: Project, own: Path) -> None:
    folder = own.parent
    (folder / "w.h5").write_text("no weights at all")
    arguments = (*option.split(), link(folder / "link", own))
    result = project.run("train.sh", *arguments, cwd=folder, HOME=str(folder))
    assert "w.h5: not a legacy PyTorch checkpoint" in refused(result, 4)


def test_a_value_that_is_no_path_is_not_taken_for_one(project: Project, own: Path) -> None:
    result = project.run("train.sh", own, "--group-by", "/", "--size", "huge")
    assert "Invalid value for '--size'" in refused(result, 2)


@pytest.mark.parametrize(
    ("script", "arguments", "code", "words"),
    [
        ("train.sh", ("gone/../gone",), 3, "gone must be a folder with your pictures"),
        ("guess.sh", ("gone", "own/data/disc/disc-000.jpg"), 5, "/gone. Train one first."),
        ("guess.sh", ("own", "gone"), 6, "gone: No such file or directory"),
        ("guessDir.sh", ("own", "gone", "sorted"), 2, "SRC must be a folder of pictures."),
        ("guessDir.sh", ("own", "gone", "new/sorted"), 2, "SRC must be a folder of pictures."),
        ("guessDir.sh", ("gone", "own/data/disc", "sorted"), 5, "/gone. Train one first."),
    ],
)
def test_what_does_not_exist_is_named_by_the_tool_and_not_made(
    script: str,
    arguments: tuple[str, ...],
    code: int,
    words: str,
    project: Project,
    own: Path,
) -> None:
    result = project.run(script, *arguments, cwd=own.parent)
    assert result.returncode == code, result.stderr
    assert words in result.stderr
    assert not own.with_name("gone").exists()
    assert not own.with_name("sorted").exists()
    assert not own.with_name("new").exists()
