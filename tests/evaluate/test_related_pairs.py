"""Related pictures in the report: which pairs come first, and how they look."""

from pathlib import Path

import pytest

from browser import CONTRASTS, READABLE, Scheme, needs_browser, opened
from pictures import write_jpegs
from reports import facts
from retrain.data.relations import Kind, Relation
from retrain.evaluate.related_pairs import located, related_pairs
from retrain.evaluate.report import RELATED, render
from retrain.split_rows import SplitRow

CONTENTS = "abcdefgh"


def relate(pair: str, kind: Kind, likeness: float = 0.9, refused: bool = False) -> Relation:
    return Relation(pair[0], pair[1], kind, likeness, "pixels 0.97", refused)


def split_rows(categories: str) -> list[SplitRow]:
    """Return rows of contents "a", "b" and so on, each of one of the categories."""
    return [
        SplitRow(f"{category}/{content}.jpg", category, "train", content)
        for content, category in zip(CONTENTS, categories, strict=False)
    ]


def test_what_contradicts_itself_is_shown_first_and_what_does_not_last() -> None:
    relations = [
        relate("ae", "mirrored copy", 1.0),  # left and right
        relate("ab", "series"),
        relate("cd", "copy", 0.8),
        relate("bd", "copy", 0.9),
        relate("ag", "copy", refused=True),
        relate("az", "copy"),  # which is gone
        relate("be", "copy"),
        relate("cf", "identical pixels"),
    ]
    pairs = related_pairs(relations, split_rows("xxxxyyy"))
    shown = ["".join(Path(one.name).stem for one in pair.both) for pair in pairs]
    assert shown == ["cf", "be", "bd", "cd", "ab", "ae"]
    assert [pair.contradicts for pair in pairs] == [True, True, *[False] * 4]


def related_page(tmp_path: Path, count: int) -> str:
    """Render pairs of real pictures, every third one a copy in two categories."""
    rows = [
        SplitRow(f"{i}.jpg", "cat <b>" if i % 3 else "dog", "train", f"{i:03d}")
        for i in range(count)
    ]
    paths = dict(zip((row.name for row in rows), write_jpegs(tmp_path, "disc", count), strict=True))
    paths.pop("2.jpg")
    relations = [
        Relation(f"{i:03d}", f"{i + 1:03d}", "copy", 0.9, f"pixels {i}") for i in range(count - 1)
    ]
    pairs = located(related_pairs(relations, rows), paths)
    return render(facts(tmp_path, 20, 3, pairs))


def test_related_pairs_are_shown_side_by_side_and_those_beyond_counted(tmp_path: Path) -> None:
    page = related_page(tmp_path, 100)
    section = page[page.index('<h2 id="related">') : page.index('<h2 id="training">')]
    assert section.count("<figure") == RELATED
    assert section.count("<img") == 2 * RELATED - 1
    assert section.count("not shown") == 1
    assert f"and {99 - RELATED} more, see related.csv." in section
    assert "in one of them it is wrong" in section
    assert "copy, <bdi>dog</bdi> and <bdi>cat &lt;b&gt;</bdi>" in section
    assert "pixels 3<br>" in section


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_related_pairs_can_be_read_and_fit_on_a_narrow_page(scheme: Scheme, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(related_page(tmp_path, 12))
    with opened(page, scheme, width=360) as view:
        assert view.evaluate("document.documentElement.scrollWidth") <= 360
        assert [one for one in view.evaluate(CONTRASTS) if one[1] < READABLE] == []
        for pair in view.locator(".related figure").all():
            tops = pair.locator(".both > *").evaluate_all("all => all.map(e => e.offsetTop)")
            assert len(tops) == 2
            assert tops[0] == tops[1]
