"""The promises of the split, on random collections; pictures here are keys without files."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrain.data.records import SIDES, Picture, Side
from retrain.data.split import ENOUGH_TO_HOLD_OUT, assign, position, split_key
from retrain.errors import UsageError

Place = tuple[str, str]  # a category and the key of a picture in it
SHARE = 0.1  # of the pictures that is held out
DRAWN: tuple[Side, ...] = ("train", "test")  # the sides that the hash fills


def sha256(content: object) -> str:
    return hashlib.sha256(str(content).encode()).hexdigest()


def picture(category: str, key: str, side: Side | None = None, name: str = "1.jpg") -> Picture:
    path = f"{category}/{name}"
    return Picture(Path(path), path, category, sha256(key), key, side)


def split(
    places: Iterable[Place],
    previous: Mapping[str, Side] | None = None,
    hold_out: float | None = SHARE,
    joined: Mapping[str, str] | None = None,
) -> dict[str, Side]:
    """Split pictures without sides; a share is held out unless told otherwise."""
    pictures = [picture(*place) for place in places]
    return assign(pictures, previous or {}, hold_out, joined=joined)


def members(places: Iterable[Place]) -> dict[str, set[str]]:
    keys: dict[str, set[str]] = defaultdict(set)
    for category, key in places:
        keys[category].add(key)
    return keys


def hashed_to(side: Side, count: int) -> list[str]:
    """Return keys that the hash alone sends to `side`, train or test."""
    keys = (sha256(i) for i in range(100 * count))
    return [key for key in keys if (position(key) >= 1 - SHARE) == (side == "test")][:count]


# As many for each side, so that the rare cases come up.
HASHED: dict[str, Side] = {key: side for side in DRAWN for key in hashed_to(side, 8)}
keys = st.sampled_from(list(HASHED))
some_categories = st.sampled_from(("cat", "dog", "elk"))
shared = st.sets(st.tuples(some_categories, keys))
unshared = st.dictionaries(keys, some_categories).map(
    lambda found: {(category, key) for key, category in found.items()}
)
shares = st.sampled_from([None, 0.1, 0.2])
histories = st.lists(st.tuples(shared, shares), min_size=2, max_size=6)
old_sides: st.SearchStrategy[dict[str, Side]] = st.dictionaries(keys, st.sampled_from(SIDES))
quick = settings(max_examples=150, deadline=None)


# --- keys


@pytest.mark.parametrize(
    ("name", "group", "group_by", "key"),
    [
        ("cat/1.jpg", None, None, "abc"),
        ("cat/sub/1_nohash_2.jpg", None, None, "group:1"),
        ("dog_nohash_x/1.jpg", None, None, "abc"),
        ("cat/patient7_left.jpg", None, r"patient\d+", "group:patient7"),
        ("cat/patient7_left.jpg", None, r"patient(\d+)_", "group:7"),
        ("cat/patient7_left.jpg", None, r"(x)?patient\d", "group:patient7"),
        ("farm 3/cat/1.jpg", None, r"^[^/]+", "group:farm 3"),
        ("cat/1.jpg", None, r"patient\d+", "abc"),
        ("cat/patient7_nohash_1.jpg", None, r"nt(\d+)", "group:7"),
        ("cat/patient7_nohash_1.jpg", "mine", r"nt(\d+)", "group:mine"),
    ],
)
def test_the_key_is_the_group_if_there_is_one_else_the_content(
    name: str, group: str | None, group_by: str | None, key: str
) -> None:
    assert split_key(name, "abc", group, group_by) == key


def test_a_group_by_that_is_no_expression_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"regular expression. Received: '\('"):
        split_key("cat/1.jpg", "abc", group_by="(")


def test_a_key_has_one_place_for_ever() -> None:
    assert position("group:elsa") == pytest.approx(0.5697123367996924, abs=1e-15)


def test_a_file_name_that_is_no_utf8_has_a_place() -> None:
    assert 0 <= position(split_key("cat/\udcff_nohash_1.jpg", "abc")) < 1


@pytest.mark.parametrize("group_by", [None, r"(\d+)-"])
def test_groups_stay_together(group_by: str | None) -> None:
    mark = "_nohash_" if group_by is None else "-"
    pictures = []
    for group in range(60):
        for i in range(5):
            name = f"cat/{i}/{group}{mark}{i}.jpg"
            key = split_key(name, sha256((group, i)), group_by=group_by)
            pictures.append(picture("cat", key, name=name))
    sides = assign(pictures, {}, SHARE)
    assert set(sides) == {f"group:{group}" for group in range(60)}
    assert set(sides.values()) == set(DRAWN)


# --- what a first run promises


@quick
@given(shared)
def test_of_few_pictures_none_is_held_out(places: set[Place]) -> None:
    assert set(split(places, hold_out=None).values()) <= {"train"}


@pytest.mark.parametrize(
    ("pictures", "hold_out", "share"),
    [
        (ENOUGH_TO_HOLD_OUT - 1, None, 0.0),
        (ENOUGH_TO_HOLD_OUT, None, 0.1),
        (5000, None, 0.1),
        (5000, 0.2, 0.2),
        (500, 0.2, 0.2),
        (5000, 0.0, 0.0),
    ],
)
def test_shares_are_roughly_as_wanted(pictures: int, hold_out: float | None, share: float) -> None:
    places = [("cat", sha256(i)) for i in range(pictures)]
    counts = Counter(split(places, hold_out=hold_out).values())
    assert counts["validation"] == 0
    assert counts["test"] / pictures == pytest.approx(share, abs=0.03 if share else 0)


@quick
@given(shared)
def test_only_what_a_category_lacks_is_moved_to_training(places: set[Place]) -> None:
    sides = split(places)
    of_category = members(places)
    moved = {key for key in sides if sides[key] != HASHED[key]}
    for own in of_category.values():
        assert "train" in {sides[key] for key in own}
    for key in moved:
        assert (HASHED[key], sides[key]) == ("test", "train")
        alone = [own for own in of_category.values() if key in own]
        assert any(not hashed_train(own) for own in alone)


def hashed_train(keys: Iterable[str]) -> set[str]:
    return {key for key in keys if HASHED[key] == "train"}


def test_the_lowest_hash_fills_training() -> None:
    keys = hashed_to("test", 5)
    sides = split(("cat", key) for key in keys)
    assert [key for key in keys if sides[key] == "train"] == [min(keys, key=position)]


@quick
@given(shared, shares, st.randoms())
def test_every_key_has_one_side_whatever_the_order(
    places: set[Place], hold_out: float | None, random: Random
) -> None:
    shuffled = sorted(places)
    random.shuffle(shuffled)
    sides = split(shuffled, None, hold_out)
    assert sides == split(sorted(places), None, hold_out)
    assert sides == split([*shuffled, *shuffled], None, hold_out)
    assert set(sides) == {key for _, key in places}
    assert set(sides.values()) <= set(DRAWN)


@quick
@given(shared, old_sides, st.text("aé _-/", max_size=5))
def test_renaming_and_moving_files_changes_nothing(
    places: set[Place], previous: dict[str, Side], prefix: str
) -> None:
    renamed = []
    for i, (category, key) in enumerate(sorted(places, key=lambda place: place[1])):
        name = f"{prefix}{i}.png"
        renamed.append(picture(category, split_key(f"{category}/{name}", key), name=name))
    assert assign(renamed, previous, SHARE) == split(sorted(places), previous)


# --- what later runs promise


@quick
@given(shared, shares)
def test_the_same_pictures_again_get_the_same_sides(
    places: set[Place], hold_out: float | None
) -> None:
    sides = split(places, None, hold_out)
    assert split(places, sides, hold_out) == sides


@quick
@given(histories)
def test_a_test_picture_stays_one_whatever_comes_and_goes(
    runs: list[tuple[set[Place], float | None]],
) -> None:
    previous: dict[str, Side] = {}
    for places, hold_out in runs:
        sides = split(places, previous, hold_out)
        tested = {key for key in sides if previous.get(key) == "test"}
        assert {sides[key] for key in tested} <= {"test"}
        previous |= sides


@quick
@given(shared, some_categories)
def test_moving_files_to_another_category_takes_none_out_of_test(
    places: set[Place], other: str
) -> None:
    before = split(places)
    after = split({(other, key) for _, key in places}, before)
    tested = {key for key, side in before.items() if side == "test"}
    assert all(after[key] == "test" for key in tested)


def test_an_old_test_key_does_not_train_even_if_its_category_has_nothing_else() -> None:
    for key in (hashed_to("train", 1)[0], hashed_to("test", 1)[0]):
        assert split([("cat", key)], {key: "test"}, None) == {key: "test"}


@quick
@given(shared, old_sides, shares)
def test_old_validation_pictures_join_training(
    places: set[Place], previous: dict[str, Side], hold_out: float | None
) -> None:
    as_training = {key: "train" if side == "validation" else side for key, side in previous.items()}
    sides = split(places, previous, hold_out)
    assert sides == split(places, as_training, hold_out)
    assert "validation" not in sides.values()


def grown(pictures: int) -> list[Place]:
    return [(f"category {i % 7}", sha256(i)) for i in range(pictures)]


def test_a_workspace_that_grows_gets_its_whole_test_also_from_what_was_training() -> None:
    small, large = grown(ENOUGH_TO_HOLD_OUT - 1), grown(ENOUGH_TO_HOLD_OUT)
    before = split(small, hold_out=None)
    assert set(before.values()) == {"train"}
    after = split(large, before, None)
    assert after == split(large, hold_out=None)
    moved = [key for key in before if after[key] == "test"]
    assert len(moved) / len(before) == pytest.approx(0.1, abs=0.03)


def test_a_workspace_that_shrinks_again_gives_no_test_picture_back() -> None:
    before = split(grown(ENOUGH_TO_HOLD_OUT), hold_out=None)
    after = split(grown(200), before, None)
    assert after == {key: before[key] for _, key in grown(200)}
    assert "test" in after.values()
    again = split(grown(ENOUGH_TO_HOLD_OUT), before | after, None)
    assert again == before


@quick
@given(shared, old_sides)
def test_to_hold_nothing_out_gives_every_test_picture_back(
    places: set[Place], previous: dict[str, Side]
) -> None:
    assert set(split(places, previous, 0.0).values()) <= {"train"}


@quick
@given(shared, old_sides)
def test_a_larger_share_adds_to_the_test_and_takes_nothing_away(
    places: set[Place], previous: dict[str, Side]
) -> None:
    sides = [split(places, previous, share) for share in (0.1, 0.3)]
    tested = [{key for key, side in one.items() if side == "test"} for one in sides]
    assert tested[0] <= tested[1]


# --- sets that were joined


# Who belongs to which set; keys that are not named stand alone.
joined_sets = st.dictionaries(keys, st.sampled_from(["one", "two"]))


@quick
@given(shared, old_sides, joined_sets)
def test_a_joined_set_has_the_strictest_old_side_of_its_members(
    places: set[Place], previous: dict[str, Side], joined: dict[str, str]
) -> None:
    sides = split(places, previous, joined=joined)
    by_set: dict[str, set[str]] = defaultdict(set)
    for key in sides:
        by_set[joined.get(key, key)].add(key)
    for own in by_set.values():
        assert len({sides[key] for key in own}) == 1
        if any(previous.get(key) == "test" for key in own):
            assert {sides[key] for key in own} == {"test"}


@quick
@given(histories, joined_sets)
def test_no_test_picture_moves_into_training_by_being_joined(
    runs: list[tuple[set[Place], float | None]], joined: dict[str, str]
) -> None:
    previous: dict[str, Side] = {}
    for i, (places, hold_out) in enumerate(runs):
        sides = split(places, previous, hold_out, joined if i % 2 else None)
        tested = {key for key in sides if previous.get(key) == "test"}
        assert {sides[key] for key in tested} <= {"test"}
        previous |= sides


def test_a_joined_set_takes_the_side_that_the_user_gave_to_any_member() -> None:
    key, twin = hashed_to("train", 2)
    pictures = [picture("cat", key, "validation"), picture("cat", twin)]
    sides = assign(pictures, {}, SHARE, joined={key: "one", twin: "one"})
    assert sides == {key: "validation", twin: "validation"}


# --- sides that the user gave


@quick
@given(
    st.lists(st.tuples(some_categories, keys, st.sampled_from([None, *SIDES]))),
    old_sides,
    st.sampled_from([None, 0.0, 0.1]),
)
def test_given_sides_win_and_the_one_farthest_from_training(
    rows: list[tuple[str, str, Side | None]], previous: dict[str, Side], hold_out: float | None
) -> None:
    sides = assign([picture(*row) for row in rows], previous, hold_out)
    wanted: dict[str, list[Side]] = defaultdict(list)
    for _, key, side in rows:
        if side:
            wanted[key].append(side)
    for key, given_sides in wanted.items():
        assert sides[key] == max(given_sides, key=SIDES.index)


@pytest.mark.parametrize("first", [True, False])
def test_test_beats_train_when_one_key_is_given_both(first: bool) -> None:
    pictures = [picture("cat", "twin", "train"), picture("cat", "twin", "test")]
    assert assign(pictures if first else pictures[::-1], {}) == {"twin": "test"}


@quick
@given(shared, shares)
def test_a_test_that_is_not_to_be_drawn_stays_empty(
    places: set[Place], hold_out: float | None
) -> None:
    pictures = [picture(*place) for place in places]
    assert set(assign(pictures, {}, hold_out, drawable=False).values()) <= {"train"}


def test_no_pictures_have_no_sides() -> None:
    assert assign([], {"old": "test"}) == {}
