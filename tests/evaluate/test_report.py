"""report.html: complete, self-contained, and good to read; looked at in a real browser."""

import csv
import html
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from browser import CONTRASTS, READABLE, Scheme, needs_browser, opened
from commands import QUICK, QUICKEST, environment, retrain
from pictures import CATEGORIES, write_jpegs, write_workspace
from reports import facts
from retrain.data.relations import Relation
from retrain.evaluate.report import render
from retrain.run import Run

pytestmark = pytest.mark.slow  # trains

LABELS = {
    "disc": '<script>alert("disc")</script>',
    "stripes": "'stripes', \"and\" &amp; more",
    "squares": "مربعات",
}
LARGEST = 5_000_000


class Elements(HTMLParser):
    """What a page's elements are called, lead to and are described as."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: set[str] = set()
        self.words: list[str] = []
        self.svgs = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.svgs += tag == "svg"
        if "id" in values:
            self.ids.append(values["id"])
        if values.get("role") == "img":
            self.words.append(values["aria-label"])
        for value in values.values():
            self.links |= set(re.findall(r"(?:^|url\()#([^)]+)", value))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained workspace with labels that no page may take for its own; some are wrong."""
    root = tmp_path_factory.mktemp("report") / "tf files é"
    rows = []
    for category in CATEGORIES:
        for i, path in enumerate(write_jpegs(root / "data", category, 30)):
            other = CATEGORIES[CATEGORIES.index(category) - 1]
            rows.append((path.relative_to(root / "data"), LABELS[category if i % 5 else other]))
    (root / "data" / "<b>broken.jpg").write_text("no picture")
    rows.append((Path("<b>broken.jpg"), LABELS["disc"]))
    with (root / "data" / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    result = retrain("train", root, *QUICK)
    assert result.returncode == 0, result.stderr
    assert "Next: These 10 pictures matter most" in result.stdout
    assert "Most wrong:\n  " in result.stdout
    return root


@pytest.fixture
def page(root: Path) -> Path:
    return root / "model" / "report.html"


def test_the_page_tells_what_the_run_knows(root: Path, page: Path) -> None:
    text = page.read_text()
    for label in LABELS.values():
        assert html.escape(label, quote=False) in text.replace("&#34;", '"').replace("&#39;", "'")
        assert label not in text or "<" not in label
    assert "<b>broken" not in text
    assert "--size 128 --fine-tune never" in text
    assert (root / "model").readlink().name in text
    assert "efficientnet_lite0 at 128 px" in text


def test_it_is_written_anew_wherever_one_wants(root: Path, page: Path, tmp_path: Path) -> None:
    result = retrain("report", root, "--output", tmp_path / "again.html")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "again.html").read_text() == page.read_text()


def test_without_data_it_says_what_is_missing(root: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(root / "model", bundle)
    (bundle / "predictions.csv").unlink()
    result = retrain("report", bundle)
    assert result.returncode == 0, result.stderr
    assert "Missing in the report: " in result.stderr
    text = (bundle / "report.html").read_text()
    assert "What is missing here" in text
    assert "predictions.csv cannot be read" in text
    assert "the run does not lie in its workspace" in text


def test_pictures_that_are_gone_leave_a_place(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "tf_files"
    shutil.copytree(root, copy, symlinks=True)
    for path in (copy / "data").glob("*/*.jpg"):
        path.unlink()
    result = retrain("report", copy)
    assert result.returncode == 0, result.stderr
    assert "of this run: gone or replaced since." in result.stderr
    assert "not shown" in (copy / "model" / "report.html").read_text()


def images_of_the_training(page: str) -> int:
    """Count the pictures of a report but those that should be checked."""
    return re.sub('<h2 id="doubtful">.*?<h2', "<h2", page, flags=re.DOTALL).count("<img")


def test_pictures_that_were_replaced_are_not_shown_and_moved_ones_are(
    root: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "tf_files"
    shutil.copytree(root, copy, symlinks=True)
    with (copy / "model" / "out_of_fold.csv").open(newline="") as file:
        worst, second = [row["path"] for row in csv.DictReader(file)][:2]
    images = images_of_the_training((copy / "model" / "report.html").read_text())
    (copy / "data" / second).rename(copy / "data" / "moved.jpg")
    shutil.copy(copy / "data" / "moved.jpg", copy / "data" / worst)
    result = retrain("report", copy)
    assert result.returncode == 0, result.stderr
    assert "Missing in the report: 1 picture of this run: gone or replaced since." in result.stderr
    text = (copy / "model" / "report.html").read_text()
    assert images - images_of_the_training(text) == 3  # its thumbnail, itself, and its heat map


def test_ids_are_unique_and_figures_have_words(page: Path) -> None:
    found = Elements()
    found.feed(page.read_text())
    assert len(found.ids) == len(set(found.ids)) > 50
    assert found.svgs == 3
    assert len(found.words) == 3
    assert found.words[0].startswith("Share of guesses that is right: score 0.")
    assert found.links <= set(found.ids)


@needs_browser
def test_figures_are_read_out_as_one_picture_each(page: Path) -> None:
    with opened(page) as view:
        for words in (
            "Share of guesses that is right",
            "Accuracy by the number of pictures learned from",
            "Loss on training and validation",
        ):
            figure = view.get_by_role("img", name=words)
            assert figure.locator("svg").count() == 1
            box = figure.locator("svg").bounding_box()
            assert box is not None
            assert min(box["width"], box["height"]) > 100


@needs_browser
def test_a_number_of_the_matrix_opens_its_pictures_by_keyboard(page: Path) -> None:
    with opened(page) as view:
        number = view.locator(".confusion td > button").first
        number.focus()
        view.keyboard.press("Enter")
        sheet = view.locator(".sheet:popover-open")
        assert sheet.locator("img").count() == min(24, int(number.inner_text()))
        assert sheet.locator("img").first.evaluate("image => image.naturalWidth") == 96
        view.keyboard.press("Escape")
        assert view.locator(".sheet:popover-open").count() == 0
        assert number.evaluate("button => button === document.activeElement")


@needs_browser
def test_labels_are_text(page: Path) -> None:
    with opened(page) as view:
        heads = view.locator(".confusion thead th").all_inner_texts()
    assert sorted(heads) == sorted(LABELS.values())


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read(scheme: Scheme, page: Path) -> None:
    with opened(page, scheme) as view:
        contrasts = view.evaluate(CONTRASTS)
    assert len(contrasts) > 50
    assert [entry for entry in contrasts if entry[1] < READABLE] == []


@needs_browser
@pytest.mark.parametrize("width", [360, 768, 1400])
def test_nothing_hangs_over_the_edge(width: int, page: Path) -> None:
    with opened(page, width=width) as view:
        assert view.evaluate("document.documentElement.scrollWidth") <= width


@needs_browser
def test_each_heat_map_is_there(page: Path) -> None:
    with opened(page) as view:
        widths = view.locator(".losses img").evaluate_all("all => all.map(i => i.naturalWidth)")
    assert widths
    assert set(widths) == {128}


def test_a_run_without_related_pictures_does_not_speak_of_them(page: Path) -> None:
    assert "related" not in re.sub(r"<style>.*</style>", "", page.read_text(), flags=re.DOTALL)


def test_the_report_of_a_run_shows_its_related_csv(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "tf_files"
    shutil.copytree(root, copy, symlinks=True)
    run = Run(copy / "model")
    contents = sorted(row.sha256 for row in run.read_split()[:3])
    relations = [
        Relation(one, other, "series", 0.9, "frames 1, 2") for one, other in pairwise(contents)
    ]
    run.write_related(relations, ())
    result = retrain("report", copy)
    assert result.returncode == 0, result.stderr
    text = (copy / "model" / "report.html").read_text()
    assert text.count("frames 1, 2") == 2
    section = text[text.index('<h2 id="related">') : text.index('<h2 id="training">')]
    assert section.count("<img") == 4


@pytest.mark.parametrize(
    ("what_happens", "code", "said"),
    [
        ("raise MemoryError('no room')", 0, "There is no report: no room. `retrain report "),
        (
            "os.kill(os.getpid(), signal.SIGINT)",
            130,
            "The report was interrupted; `retrain report ",
        ),
        (
            "os.kill(os.getpid(), signal.SIGTERM)",
            143,
            "The report was interrupted; `retrain report ",
        ),
    ],
)
def test_a_training_without_a_report_is_no_less_finished(
    what_happens: str, code: int, said: str, tmp_path: Path
) -> None:
    root = write_workspace(tmp_path / "tf_files", 12)
    program = (
        "import os, signal, time\n"
        "import retrain.jobs.report as report\n"
        f"def fail(*_): {what_happens}; time.sleep(60)\n"
        "report.Interpreter = fail\n"
        "from retrain.cli.main import main\n"
        "main()\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, "train", str(root), *QUICKEST],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert result.returncode == code, result.stderr
    assert said in result.stderr
    assert "\nReport: " not in result.stdout
    assert result.stdout.splitlines()[-1].startswith(f"Model: {root / 'model'} -> ")
    assert (root / "model" / "manifest.json").is_file()
    assert not (root / "model" / "report.html").exists()


@pytest.mark.parametrize("categories", [5, 40, 60])
def test_ten_thousand_pictures_fit_on_a_page(categories: int, tmp_path: Path) -> None:
    page = render(facts(tmp_path, 10_000, categories))
    assert len(page.encode()) < LARGEST
    assert page.count("data:image/jpeg") > 100
    assert "not shown" not in page
    assert ("There is no room for a matrix" in page) == (categories == 60)
    assert "and 900 more, see skipped.csv" in page
