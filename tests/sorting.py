"""Sorts folders with the real command line, and looks at what came out."""

import contextlib
import csv
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from commands import GUESS_FILES, command, environment, retrain

NEW = 900  # seeds from here on were not trained on
RESULTS = {"results.csv", "results.json"}
UNFINISHED = {".results.sqlite", ".results.sqlite-journal"}
COLUMNS = [
    *("source", "copy", "category", "score", "error", "run"),
    *("size", "time", "copy_size", "copy_time"),
    "familiar",
]
NEXT_RUN = "20990101T000000Z-efficientnet_lite0"


def sort(
    workspace: Path, src: Path, dest: Path, *options: str, path: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run guess-dir, with another PYTHONPATH if one is given."""
    changes = {"PYTHONPATH": path} if path else {}
    return retrain("guess-dir", workspace, src, dest, *options, cwd=None, answer=None, **changes)


@contextlib.contextmanager
def sorting(
    workspace: Path, src: Path, dest: Path, *options: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Start sorting and go on once some copies are there; killed at the end."""
    line = command("guess-dir", workspace, src, dest, *options)
    with subprocess.Popen(line, env=environment(), stdout=subprocess.DEVNULL) as process:
        while not dest.is_dir() or len(list(dest.rglob("*.jpg"))) < 20:
            assert process.poll() is None, "done too soon"
            time.sleep(0.01)
        yield process
        process.kill()


def rows(dest: Path) -> dict[str, dict[str, str]]:
    """Read results.csv: row by source."""
    with (dest / "results.csv").open(
        encoding="utf-8", errors="surrogateescape", newline=""
    ) as file:
        reader = csv.DictReader(file)
        found = {row["source"]: row for row in reader}
        assert reader.fieldnames == COLUMNS
        return found


def copies(dest: Path) -> set[str]:
    """Return the names of all files but the results, hidden ones included."""
    return {path.name for path in dest.iterdir()} - RESULTS


def assert_sorted(dest: Path, *sources: Path) -> None:
    """Each source has exactly one copy, byte by byte, and nothing else lies in `dest`."""
    results = rows(dest)
    assert results.keys() == {str(source) for source in sources}
    assert copies(dest) == {row["copy"] for row in results.values()}
    assert len(copies(dest)) == len(sources)
    for source in sources:
        row = results[str(source)]
        assert (dest / row["copy"]).read_bytes() == source.read_bytes()
        assert row["copy"].startswith(f"{row['category']}-{row['score']}")
        assert row["error"] == ""


def stamps(folder: Path) -> dict[Path, tuple[int, int, bytes]]:
    """Return inode, time and content of every file."""
    return {
        path: (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.iterdir()
    }


def bundle(workspace: Path, folder: Path, **changes: object) -> Path:
    """Return a bundle with the workspace's model and a changed manifest."""
    folder.mkdir()
    for name in GUESS_FILES:
        shutil.copy(workspace / "model" / name, folder)
    manifest = json.loads((workspace / "model" / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | changes))
    return folder


def middle_score(trained: Path, many: Path, dest: Path) -> str:
    """Sort, and return a score that some pictures reach and some do not."""
    assert sort(trained, many, dest).returncode == 0
    found = sorted({row["score"] for row in rows(dest).values()})
    assert len(found) > 3
    return found[len(found) // 2]
