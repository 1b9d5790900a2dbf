"""The promises of joining, on random collections; pictures here are keys without files."""

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrain.data.groups import Joined, join
from retrain.data.records import SIDES, Picture, Side
from retrain.data.relations import KINDS, Kind, Relation
from retrain.data.split import GROUP, assign

quick = settings(max_examples=150, deadline=None)


def sha256(content: object) -> str:
    return hashlib.sha256(str(content).encode()).hexdigest()


def picture(
    content: object, category: str = "cat", group: str | None = None, side: Side | None = None
) -> Picture:
    digest = sha256(content)
    name = f"{category}/{content}.jpg"
    return Picture(Path(name), name, category, digest, GROUP + group if group else digest, side)


def related(first: object, second: object, kind: Kind = "copy", likeness: float = 0.99) -> Relation:
    low, high = sorted((sha256(first), sha256(second)))
    return Relation(low, high, kind, likeness, "")


def sets(joined: Joined, pictures: list[Picture]) -> set[frozenset[str]]:
    """Return the pictures' names, set by set."""
    found: dict[str, set[str]] = {}
    for one in pictures:
        found.setdefault(joined.sets[one.key], set()).add(Path(one.name).stem)
    return {frozenset(names) for names in found.values()}


def together(joined: Joined, *contents: object) -> bool:
    return len({joined.sets[sha256(content)] for content in contents}) == 1


# --- what joins


def test_related_pictures_are_one_set_named_after_one_of_its_keys() -> None:
    pictures = [picture(i) for i in range(4)]
    joined = join(pictures, [related(0, 1), related(1, 2)])
    assert sets(joined, pictures) == {frozenset("012"), frozenset("3")}
    assert set(joined.sets.values()) <= {one.key for one in pictures}


def test_copies_join_however_many_they_are() -> None:
    pictures = [picture(i) for i in range(10)]
    chain: list[Kind] = [KINDS[i % 4] for i in range(9)]
    joined = join(pictures, [related(i, i + 1, kind) for i, kind in enumerate(chain)])
    assert together(joined, *range(10))
    assert not joined.apart


def test_a_refused_pair_joins_nothing() -> None:
    joined = join([picture(0), picture(1)], [replace(related(0, 1), refused=True)])
    assert not together(joined, 0, 1)
    assert not joined.apart
    assert not joined.across


def test_a_series_may_cross_categories() -> None:
    pictures = [picture(i, "cat" if i % 2 else "dog") for i in range(8)]
    joined = join(pictures, [related(0, 1, "series")])
    assert together(joined, 0, 1)
    assert not joined.across


def test_pictures_that_are_gone_still_join_what_they_joined() -> None:
    joined = join([picture(0), picture(2)], [related(0, 1), related(1, 2)])
    assert together(joined, 0, 2)


# --- what does not


def test_a_series_that_would_swallow_more_than_half_a_category_is_not_joined_and_said() -> None:
    pictures = [picture(i) for i in range(4)] + [picture(i, "dog") for i in range(4, 40)]
    chain = [related(0, 1, "series", 0.9), related(1, 2, "series", 0.8)]
    joined = join(pictures, chain)
    assert together(joined, 0, 1)
    assert not together(joined, 0, 2)
    assert [(one.relation, one.reason) for one in joined.apart] == [(chain[1], "half a category")]


def test_a_chain_through_a_whole_set_keeps_its_tight_parts_together() -> None:
    pictures = [picture(i) for i in range(40)]
    chain = [related(i, i + 1, "series", 0.7 if i % 10 == 9 else 0.95) for i in range(39)]
    joined = join(pictures, chain)
    assert all(together(joined, *range(start, start + 10)) for start in range(0, 40, 10))
    assert max(Counter(joined.sets.values()).values()) <= 20
    assert joined.apart


def test_two_pictures_of_a_category_are_no_series() -> None:
    pictures = [picture(0), picture(1), picture(2, "dog"), picture(3, "dog")]
    joined = join(pictures, [related(0, 1, "series")])
    assert not together(joined, 0, 1)
    assert joined.apart


def test_mirrored_and_recoloured_copies_across_categories_neither_join_nor_warn() -> None:
    for kind in ("mirrored copy", "recoloured copy"):
        joined = join([picture(0), picture(1, "dog")], [related(0, 1, kind)])
        assert not together(joined, 0, 1)
        assert not joined.across
        assert not joined.apart
        assert together(join([picture(0), picture(1)], [related(0, 1, kind)]), 0, 1)


def test_a_copy_across_categories_joins_and_is_told() -> None:
    for kind in ("copy", "identical pixels"):
        relation = related(0, 1, kind)
        joined = join([picture(0), picture(1, "dog")], [relation])
        assert together(joined, 0, 1)
        assert joined.across == [relation]


def test_groups_of_the_user_stand_and_what_contradicts_them_is_told() -> None:
    pictures = [picture(0, group="anna"), picture(1, group="ben"), picture(2)]
    relations = [related(0, 1), related(0, 2, likeness=0.98), related(1, 2, likeness=0.97)]
    joined = join(pictures, relations)
    assert joined.sets[GROUP + "anna"] != joined.sets[GROUP + "ben"]
    assert joined.sets[GROUP + "anna"] == joined.sets[sha256(2)]
    assert {one.reason for one in joined.apart} == {"different groups"}
    assert len(joined.apart) == 2


def test_a_series_does_not_cross_the_sides_that_the_user_filled() -> None:
    pictures = [picture(0, side="train"), picture(1, side="test")]
    pictures += [picture(i, side="train") for i in range(2, 9)]
    joined = join(pictures, [related(0, 1, "series")])
    assert not together(joined, 0, 1)
    assert [one.reason for one in joined.apart] == ["different sides"]
    assert together(join(pictures, [related(0, 1)]), 0, 1)


# --- always

contents = st.integers(0, 25)
categories = st.sampled_from(("cat", "dog", "elk"))
placed = st.dictionaries(contents, categories, min_size=2)
some_relations = st.lists(
    st.tuples(contents, contents, st.sampled_from(KINDS), st.sampled_from((0.7, 0.8, 0.9))).filter(
        lambda one: one[0] != one[1]
    ),
    max_size=30,
)
histories = st.lists(st.tuples(placed, some_relations), min_size=2, max_size=5)


def as_relations(found: list[tuple[int, int, Kind, float]]) -> list[Relation]:
    return [related(*one) for one in found]


@quick
@given(histories)
def test_a_test_picture_never_moves_into_training(
    history: list[tuple[dict[int, str], list[tuple[int, int, Kind, float]]]],
) -> None:
    previous: dict[str, Side] = {}
    relations: list[Relation] = []
    for places, found in history:
        pictures = [picture(*place) for place in places.items()]
        relations += as_relations(found)
        joined = join(pictures, relations)
        named = [replace(one, key=joined.sets[one.key]) for one in pictures]
        sides = assign(named, joined.sides(previous))
        for one in pictures:
            side = sides[joined.sets[one.key]]
            before = previous.get(one.key, side)
            assert SIDES.index(side) >= SIDES.index(before) or before == "validation"
            assert before != "test" or side == "test"
            previous[one.key] = side


@quick
@given(placed, some_relations, st.randoms())
def test_any_order_gives_the_same_sets(places, found, random) -> None:  # type: ignore[no-untyped-def]
    pictures, relations = [picture(*place) for place in places.items()], as_relations(found)
    once = join(pictures, relations)
    random.shuffle(pictures)
    random.shuffle(relations)
    assert join(pictures, relations) == once


@quick
@given(placed, some_relations)
def test_no_series_holds_more_than_half_a_category(
    places: dict[int, str], found: list[tuple[int, int, Kind, float]]
) -> None:
    pictures = [picture(*place) for place in places.items()]
    series = [related(a, b, "series", likeness) for a, b, _, likeness in found]
    joined = join(pictures, series)
    sizes = Counter(one.category for one in pictures)
    held = Counter((joined.sets[one.key], one.category) for one in pictures)
    for (_, category), count in held.items():
        assert count <= max(1, sizes[category] / 2)


@quick
@given(placed, some_relations)
def test_every_relation_joins_or_is_told(
    places: dict[int, str], found: list[tuple[int, int, Kind, float]]
) -> None:
    pictures, relations = [picture(*place) for place in places.items()], as_relations(found)
    joined = join(pictures, relations)
    told = {id(one.relation) for one in joined.apart}
    for one in relations:
        first, second = (joined.sets.get(content, content) for content in one.pair)
        varied = one.kind in ("mirrored copy", "recoloured copy")
        assert first == second or id(one) in told or varied


@pytest.mark.parametrize(
    ("sides", "strictest"),
    [
        (("train", "test"), "test"),
        (("validation", "train"), "validation"),
        (("test", "validation"), "test"),
    ],
)
def test_a_joined_set_takes_its_strictest_side(sides: tuple[Side, Side], strictest: Side) -> None:
    joined = join([picture(0), picture(1), picture(2)], [related(0, 1)])
    previous = dict(zip((sha256(0), sha256(1)), sides, strict=True)) | {sha256(2): "train"}
    name = joined.sets[sha256(0)]
    assert joined.sides(previous) == {name: strictest, sha256(2): "train"}


def test_keys_that_nobody_knows_keep_their_side() -> None:
    assert join([], []).sides({"gone": "test"}) == {"gone": "test"}
