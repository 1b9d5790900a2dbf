"""The documentation: it is short where it must be, its links lead somewhere, its example runs."""

import re
import shutil
from pathlib import Path

import pytest

from commands import ROOT
from pictures import write_jpegs

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
MOST_LINES = 140  # of the README
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)|<img src=\"([^\"]+)\"")


def anchors(page: Path) -> set[str]:
    """Return the names of a page's headings as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_something_in_the_project(page: Path) -> None:
    found = LINK.findall(page.read_text(encoding="utf-8"))
    for path, anchor, image in found:
        if path.startswith("https://"):
            continue
        target = page.parent / (path or image) if path or image else page
        assert target.is_file(), path or image
        if anchor:
            assert anchor in anchors(target), anchor


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_the_example_in_python_runs(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    training, separator, guessing = example.partition("model = ")
    assert "retrain.train(" in training  # which takes minutes, and test_api.py trains
    shutil.copytree(trained, tmp_path / "tf_files", symlinks=True)
    shutil.copytree(trained / "data", tmp_path / "labelled")
    photos = write_jpegs(tmp_path / "photos", "disc", 3, start=700)
    shutil.copy(photos[0], tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    exec(f"import retrain\n{separator}{guessing}", {"paths": photos})
    assert (tmp_path / "sorted" / "results.csv").is_file()
