"""Shortcuts: cues that tell a category by themselves, and are raised only where the model minds."""

import runpy
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps

from commands import ROOT, SHARED
from retrain.data.fingerprints import FINGERPRINT, describe
from retrain.data.headers import Header
from retrain.data.images import PixelRules, Pixels
from retrain.data.records import Picture
from retrain.evaluate import interventions
from retrain.evaluate.cue_candidates import Judged, candidates
from retrain.evaluate.cue_trials import Answer
from retrain.evaluate.cues import Looks, auroc, find_overlay, surprise
from retrain.evaluate.findings import Finding, of_kind
from retrain.evaluate.shortcuts import shortcut_findings
from retrain.jobs.check import check
from retrain.progress import Silent
from scenes import scene

RULES = PixelRules(64, "squash")
EACH = 40  # pictures of a category
SIZE = (120, 96)

Mark = Callable[[Image.Image], Image.Image]
Place = Callable[[Pixels], NDArray[np.floating]]


def stamp(image: Image.Image) -> Image.Image:
    """Print a line into the lower left corner."""
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, image.height - 12, 60, image.height), fill="black")
    pen.text((3, image.height - 12), "26-11-26", fill="white")
    return image


def border(image: Image.Image) -> Image.Image:
    """Draw a black border of 4 pixels."""
    ImageDraw.Draw(image).rectangle((0, 0, image.width - 1, image.height - 1), None, "black", 4)
    return image


def brighter(image: Image.Image) -> Image.Image:
    return image.point(lambda value: min(255, value + 70))


def blurred(image: Image.Image) -> Image.Image:
    return interventions.blurred_to(0.5 * interventions.sharpness(image))(image)


def make(folder: Path, mark: Mark | None) -> tuple[Judged, Looks]:
    """Write scenes of two categories, one of them marked, and look at them from the outside."""
    pictures, records, headers, sharp = [], [], [], []
    for number in range(2 * EACH):
        image = scene(number, SIZE)
        category = "north" if number % 2 else "south"
        if mark and category == "south":
            image = mark(image)
        path = folder / f"{number}.png"
        image.save(path)
        pictures.append(Picture(path, path.name, category, f"{number:064x}", str(number)))
        records.append(describe(image))
        headers.append(Header("PNG", *image.size, ""))
        sharp.append(interventions.sharpness(image))
    labels = np.arange(2 * EACH) % 2 == 0
    judged = Judged(
        pictures,
        labels.astype(np.int64),
        np.arange(2 * EACH) // 2 % 5,
        [picture.key for picture in pictures],
        ("north", "south"),
    )
    return judged, Looks(np.array(records, FINGERPRINT), headers, np.array(sharp))


def looking_at(place: Place, middle: float, sign: float) -> Answer:
    """Return a model that looks at one number of each picture."""

    def answer(pixels: Pixels, rows: NDArray[np.integer]) -> NDArray[np.floating]:
        south = 1 / (1 + np.exp(-sign * (place(pixels.astype(np.float64)) - middle) / 8))
        return np.stack([1 - south, south], axis=1)

    return answer


def corner(pixels: Pixels) -> NDArray[np.floating]:
    return np.asarray(pixels[:, 58:62, 2:26].mean(axis=(1, 2, 3)))


def rim(pixels: Pixels) -> NDArray[np.floating]:
    return np.asarray(pixels[:, 0].mean(axis=(1, 2)))


def whole(pixels: Pixels) -> NDArray[np.floating]:
    return np.asarray(pixels.mean(axis=(1, 2, 3)))


def blind(pixels: Pixels) -> NDArray[np.floating]:
    """Look at nothing."""
    return np.zeros(len(pixels))


@pytest.mark.parametrize(
    ("mark", "looks_at", "middle", "sign", "said"),
    [
        (stamp, corner, 70.0, -1.0, "The same stamp, logo or bar in the lower left gives 'south'"),
        (border, rim, 60.0, -1.0, "A plain border gives 'south' away"),
        (brighter, whole, 160.0, 1.0, "The brightness gives"),
    ],
)
def test_a_cue_that_the_model_uses_is_found_and_one_that_it_ignores_is_not(
    tmp_path: Path,
    mark: Mark,
    looks_at: Place,
    middle: float,
    sign: float,
    said: str,
) -> None:
    judged, looks = make(tmp_path, mark)
    assert candidates(judged, looks)
    using = shortcut_findings(judged, looks, RULES, looking_at(looks_at, middle, sign))
    assert any(one.why.startswith(said) for one in using), using
    assert all(one.kind == "shortcut" and one.score > 0.9 for one in using)
    ignoring = looking_at(blind, 0.0, 1.0)
    assert shortcut_findings(judged, looks, RULES, ignoring) == []


def framed(image: Image.Image) -> Image.Image:
    """A black border that makes the whole picture darker."""
    return ImageOps.expand(ImageOps.crop(image, 12), 12)


def test_what_follows_from_a_mark_is_not_told_whichever_category_has_it(tmp_path: Path) -> None:
    judged, looks = make(tmp_path, framed)
    cues = {one.cue for one in candidates(judged, looks)}
    assert {"border", "brightness"} <= cues
    dark = looking_at(whole, 90.0, -1.0)
    swapped = replace(judged, labels=1 - judged.labels, categories=("south", "north"))

    def other(pixels: Pixels, rows: NDArray[np.integer]) -> NDArray[np.floating]:
        return dark(pixels, rows)[:, ::-1]

    for mine, answer in ((judged, dark), (swapped, other)):
        found = [one.why for one in shortcut_findings(mine, looks, RULES, answer)]
        assert any(why.startswith("A plain border gives 'south' away") for why in found)
        assert not any("brightness" in why for why in found)


def test_labels_that_mean_nothing_raise_no_alarm(tmp_path: Path) -> None:
    judged, looks = make(tmp_path, stamp)
    alarms = 0
    for seed in range(50):
        labels = np.random.default_rng(seed).permutation(judged.labels)
        mixed = Judged(judged.pictures, labels, judged.fold, judged.groups, judged.categories)
        alarms += bool(candidates(mixed, looks))
    assert alarms <= 1


def test_blurred_pictures_of_one_category_are_a_candidate(tmp_path: Path) -> None:
    judged, looks = make(tmp_path, blurred)
    assert "sharpness" in {one.cue for one in candidates(judged, looks)}


def test_files_of_another_format_size_and_camera_are_candidates(tmp_path: Path) -> None:
    judged, looks = make(tmp_path, None)
    assert candidates(judged, looks) == []
    headers = [
        Header("JPEG", 60, 60, "A") if label else Header("PNG", 120, 96, "B")
        for label in judged.labels.tolist()
    ]
    found = {one.cue for one in candidates(judged, Looks(looks.records, headers, looks.sharpness))}
    assert found == {"format", "size", "aspect", "camera"}


def test_an_overlay_is_found_where_it_lies(tmp_path: Path) -> None:
    judged, looks = make(tmp_path, stamp)
    overlay = find_overlay(looks.records["grey"], judged.labels == 1)
    assert overlay is not None
    np.testing.assert_allclose(overlay.box, (0, 84 / 96, 61 / 120, 1), atol=0.04)
    assert find_overlay(looks.records["grey"], judged.labels == 0) is None


def test_changes_take_a_mark_away_and_bring_it_in() -> None:
    plain, marked = scene(1, SIZE), border(scene(2, SIZE))
    edges = (4 / 120, 4 / 96, 4 / 120, 4 / 96)
    assert interventions.cropped(edges)(marked).size == (112, 88)
    framed = np.asarray(interventions.framed(marked, edges)(plain))
    assert framed[:4].max() == 0
    np.testing.assert_array_equal(framed[4:-4, 4:-4], np.asarray(plain)[4:-4, 4:-4])
    box = (0.0, 0.5, 0.5, 1.0)
    patched = np.asarray(interventions.patched(marked, box)(plain))
    np.testing.assert_array_equal(patched[48:, :60], np.asarray(marked)[48:, :60])
    np.testing.assert_array_equal(patched[:48], np.asarray(plain)[:48])
    painted = np.asarray(interventions.painted_over(box)(plain))[48:, :60]
    assert np.ptp(painted, axis=(0, 1)).max() == 0
    lit = np.asarray(interventions.lit(120, 30)(plain).convert("L"), np.float64)
    assert (lit.mean(), lit.std()) == pytest.approx((120, 30), abs=4)
    assert interventions.shrunk_to(48)(plain).size == (60, 48)
    assert interventions.shrunk_to(500)(plain).size == SIZE
    assert interventions.cut_to(0.5)(plain).size == (48, 96)
    sharp = interventions.sharpness(plain)
    assert interventions.sharpness(interventions.blurred_to(0.7 * sharp)(plain)) <= 0.8 * sharp


def test_the_area_under_the_curve_counts_ties_as_half() -> None:
    own = np.array([True, True, False, False])
    assert auroc(np.array([1.0, 1.0, 1.0, 1.0]), own) == 0.5
    assert auroc(np.array([3.0, 2.0, 1.0, 0.0]), own) == 1.0
    assert surprise(0.5, 20, 20) == 0
    assert surprise(1.0, 20, 20) > 5


def shortcuts(root: Path) -> Sequence[Finding]:
    return of_kind(check(root, Silent()).findings, "shortcut")


@pytest.mark.slow
def test_the_stamped_date_of_the_guide_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["stamped.py", str(tmp_path)])
    runpy.run_path(str(ROOT / "docs" / "guide" / "stamped.py"), run_name="__main__")
    (one,) = shortcuts(tmp_path)
    assert one.category == "south"
    assert "stamp, logo or bar in the lower left gives 'south' away" in one.why


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "data" / "pets3").is_dir(), reason="the set is not here")
def test_a_border_of_four_pixels_is_found_and_pictures_as_they_are_stay_silent(
    tmp_path: Path,
) -> None:
    for category in ("Abyssinian", "Bengal"):
        shutil.copytree(SHARED / "data" / "pets3" / category, tmp_path / "data" / category)
    assert shortcuts(tmp_path) == []
    for path in (tmp_path / "data" / "Bengal").iterdir():
        path.chmod(0o600)
        border(Image.open(path).convert("RGB")).save(path, quality=92)
    (one,) = shortcuts(tmp_path)
    assert one.category == "Bengal"
    assert one.why.startswith("A plain border gives 'Bengal' away")
