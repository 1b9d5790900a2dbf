"""A folder as bad as they come goes all the way: each file is used or named, and none is changed.

One tree, written once: checked, compared, trained on, sorted and judged by, by someone whom
permissions hold.
"""

import csv
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from commands import QUICKEST, environment, like_anyone, measured, retrain
from hostile import Fate, unlock, write_hostile_tree
from pictures import write_workspace

MOST = 600.0  # MB that a check or a sorting may take
MORE = 1.2  # times the memory of a training without them; two runs of one differ by some per cent
HEAD = 1 << 20  # bytes of a file's start and end that stand for a huge one
CHECK = """
import sys
from pathlib import Path
from retrain.data.check import check
from retrain.data.images import PixelRules
from retrain.data.sources import open_data
pictures, skipped = check(open_data(Path(sys.argv[1])), PixelRules(224, "squash"))
print(len(pictures), len(skipped))
"""

Result = subprocess.CompletedProcess[str]
State = dict[str, tuple[object, ...]]


@dataclass(frozen=True)
class Hostile:
    """What was done with the tree. peaks: memory by what was done, in MB."""

    root: Path
    fates: dict[Path, Fate]
    before: tuple[State, State]
    after: tuple[State, State]
    checked: Result
    trained: Result
    evaluated: Result
    sorted: Result
    peaks: dict[str, float]

    def names(self, *fates: Fate) -> set[str]:
        """Return the files that such a fate awaits."""
        return {path.as_posix() for path, fate in self.fates.items() if fate in fates}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    """The tree, and what came of it."""
    anyone = like_anyone()
    folder = tmp_path_factory.mktemp("hostile")
    root = folder / "tf_files"
    plain = write_workspace(folder / "plain", each=72)
    fates = write_hostile_tree(root / "data")
    try:
        before = state(root / "data"), state(folder / "elsewhere")

        def run(name: str, *line: str | Path) -> Result:
            return retrain(*line, under=(*anyone, *measured(folder / name)))

        with ThreadPoolExecutor(1) as other:
            without = other.submit(run, "without", "train", plain, *QUICKEST, "--relate")
            script = [sys.executable, "-c", CHECK, str(root / "data")]
            checked = subprocess.run(
                [*anyone, *measured(folder / "check"), *script],
                capture_output=True,
                text=True,
                env=environment(),
                check=False,
            )
            trained = run("train", "train", root, *QUICKEST, "--relate")
            assert trained.returncode == 0, trained.stderr
            data = root / "data"
            evaluated = run("evaluate", "evaluate", root, "--data", data, "--json")
            dest = folder / "sorted"
            sorted_ = run("guess-dir", "guess-dir", root, data, dest, "--recursive")
            assert without.result().returncode == 0, without.result().stderr
        names = ("check", "train", "without", "evaluate", "guess-dir")
        peaks = {name: float((folder / name).read_text()) for name in names}
        after = state(root / "data"), state(folder / "elsewhere")
        yield Hostile(root, fates, before, after, checked, trained, evaluated, sorted_, peaks)
    finally:
        unlock(root / "data")
        shutil.rmtree(root)


def state(folder: Path) -> State:
    """Return type, size, time and content of all below a folder."""
    found: State = {}
    for place, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(place) / name
            status = path.lstat()
            content = str(path.readlink()) if path.is_symlink() else digest(path, status)
            found[str(path)] = (status.st_mode, status.st_size, status.st_mtime_ns, content)
    return found


def digest(path: Path, status: os.stat_result) -> str:
    """Return a file's sha256; of a huge one that of its size, start and end."""
    if not stat.S_ISREG(status.st_mode) or not os.access(path, os.R_OK):
        return ""
    sha256 = hashlib.sha256(str(status.st_size).encode())
    with path.open("rb") as file:
        sha256.update(file.read(HEAD))
        if status.st_size > 100 * HEAD:
            file.seek(-HEAD, os.SEEK_END)
        sha256.update(file.read())
    return sha256.hexdigest()


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def test_the_tree_is_large_and_bad_enough(hostile: Hostile) -> None:
    assert len(hostile.fates) >= 300
    assert len(hostile.names(Fate.NAMED)) >= 60


def test_the_check_uses_or_skips_each_file(hostile: Hostile) -> None:
    assert hostile.checked.returncode == 0, hostile.checked.stderr
    expected = len(hostile.names(Fate.USED)), len(hostile.names(Fate.NAMED))
    assert tuple(map(int, hostile.checked.stdout.split())) == expected


def test_a_training_learns_from_each_good_file_and_names_each_other(hostile: Hostile) -> None:
    model = hostile.root / "model"
    assert {row["path"] for row in table(model / "split.csv")} == hostile.names(Fate.USED)
    skipped = table(model / "skipped.csv")
    assert {row["path"] for row in skipped} == hostile.names(Fate.NAMED)
    assert all(row["reason"] for row in skipped)


def test_a_training_says_where_the_skipped_files_are_named(hostile: Hostile) -> None:
    lines = hostile.trained.stderr.splitlines()
    skipped, loose = (len(hostile.names(fate)) for fate in (Fate.NAMED, Fate.LOOSE))
    assert sum(line.startswith("Skipped ") for line in lines) == 11
    assert f"Skipped {skipped - 10} more files:" in lines
    run = (hostile.root / "model").resolve()
    assert f"All skipped files are named in {run / 'skipped.csv'}." in lines
    data = hostile.root / "data"
    assert f"{loose} files in {data} itself without a category folder: left out." in lines


def test_an_evaluation_judges_by_each_good_file_and_names_each_other(hostile: Hostile) -> None:
    assert hostile.evaluated.returncode == 6, hostile.evaluated.stderr
    found = json.loads(hostile.evaluated.stdout)
    assert {bad["name"] for bad in found["skipped"]} == hostile.names(Fate.NAMED)
    assert found["pictures"] == len(hostile.names(Fate.USED))


def test_a_sorting_copies_each_good_file_and_names_each_other(hostile: Hostile) -> None:
    assert hostile.sorted.returncode == 6, hostile.sorted.stderr
    data, dest = hostile.root / "data", hostile.root.parent / "sorted"
    rows = {row["source"].removeprefix(f"{data}/"): row for row in table(dest / "results.csv")}
    good = {name for name, row in rows.items() if row["copy"]}
    assert good == hostile.names(Fate.USED) | {"loose.jpg"}
    assert all((dest / rows[name]["copy"]).is_file() for name in good)
    bad = {name for name, row in rows.items() if row["error"]}
    assert bad == hostile.names(Fate.NAMED) | {"readme.txt"}


def test_nothing_of_the_users_is_changed(hostile: Hostile) -> None:
    assert hostile.after == hostile.before


@pytest.mark.parametrize("name", ["check", "guess-dir", "evaluate"])
def test_memory_stays_small(hostile: Hostile, name: str) -> None:
    assert hostile.peaks[name] < MOST


def test_a_training_takes_hardly_more_memory_for_them(hostile: Hostile) -> None:
    assert hostile.peaks["train"] < MORE * hostile.peaks["without"]
