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
from retrain.data.split import assign, position, split_key
from retrain.errors import UsageError

Place = tuple[str, str]  # a category and the key of a picture in it


def sha256(content: object) -> str:
    return hashlib.sha256(str(content).encode()).hexdigest()


def picture(category: str, key: str, side: Side | None = None, name: str = "1.jpg") -> Picture:
    path = f"{category}/{name}"
    return Picture(Path(path), path, category, sha256(key), key, side)


def split(
    places: Iterable[Place],
    previous: Mapping[str, Side] | None = None,
    draw: tuple[Side, ...] = ("validation", "test"),
) -> dict[str, Side]:
    return assign([picture(*place) for place in places], previous or {}, draw)


def members(places: Iterable[Place]) -> dict[str, set[str]]:
    keys: dict[str, set[str]] = defaultdict(set)
    for category, key in places:
        keys[category].add(key)
    return keys


def hashed_to(side: Side, count: int) -> list[str]:
    """Return keys that the hash alone sends to `side`."""
    low, high = {"train": (0.0, 0.8), "validation": (0.8, 0.9), "test": (0.9, 1.0)}[side]
    keys = (sha256(i) for i in range(100 * count))
    return [key for key in keys if low <= position(key) < high][:count]


# As many for each side, so that the rare cases come up.
HASHED = {key: side for side in SIDES for key in hashed_to(side, 8)}
keys = st.sampled_from(list(HASHED))
some_categories = st.sampled_from(("cat", "dog", "elk"))
shared = st.sets(st.tuples(some_categories, keys))
unshared = st.dictionaries(keys, some_categories).map(
    lambda found: {(category, key) for key, category in found.items()}
)
histories = st.lists(shared, min_size=2, max_size=6)
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
    sides = assign(pictures, {})
    assert set(sides) == {f"group:{group}" for group in range(60)}
    assert set(sides.values()) == set(SIDES)


# --- what a first run promises


def test_shares_are_roughly_as_wanted() -> None:
    counts = Counter(split(("cat", sha256(i)) for i in range(5000)).values())
    assert counts["train"] == pytest.approx(4000, abs=100)
    assert counts["validation"] == pytest.approx(500, abs=75)
    assert counts["test"] == pytest.approx(500, abs=75)


@quick
@given(unshared)
def test_two_keys_are_enough_for_training_and_validation(places: set[Place]) -> None:
    sides = split(places)
    for own in members(places).values():
        if len(own) >= 2:
            assert {"train", "validation"} <= {sides[key] for key in own}
        else:
            assert [sides[key] for key in own] == ["train"]


def test_categories_of_four_pictures_work() -> None:
    places = [(f"category {i // 4}", sha256(i)) for i in range(400)]
    sides = split(places)
    for own in members(places).values():
        assert {"train", "validation"} <= {sides[key] for key in own}


@quick
@given(unshared)
def test_only_what_a_category_lacks_is_moved(places: set[Place]) -> None:
    sides = split(places)
    for own in members(places).values():
        moved = [sides[key] for key in own if sides[key] != HASHED[key]]
        assert sorted(moved) in ([], ["train"], ["validation"], ["train", "validation"])


def test_the_lowest_hash_fills_validation() -> None:
    keys = hashed_to("train", 5)
    sides = split(("cat", key) for key in keys)
    assert [key for key in keys if sides[key] == "validation"] == [min(keys, key=position)]


@quick
@given(shared, st.randoms())
def test_every_key_has_one_side_whatever_the_order(places: set[Place], random: Random) -> None:
    shuffled = sorted(places)
    random.shuffle(shuffled)
    sides = split(shuffled)
    assert sides == split(sorted(places)) == split([*shuffled, *shuffled])
    assert set(sides) == {key for _, key in places}
    assert set(sides.values()) <= set(SIDES)


@quick
@given(shared, st.text("aé _-/", max_size=5))
def test_renaming_and_moving_files_changes_nothing(places: set[Place], prefix: str) -> None:
    renamed = []
    for i, (category, key) in enumerate(sorted(places, key=lambda place: place[1])):
        name = f"{prefix}{i}.png"
        renamed.append(picture(category, split_key(f"{category}/{name}", key), name=name))
    assert assign(renamed, {}) == split(sorted(places))


# --- what later runs promise


@quick
@given(unshared)
def test_the_same_pictures_again_get_the_same_sides(places: set[Place]) -> None:
    sides = split(places)
    assert split(places, sides) == sides


@quick
@given(histories)
def test_test_and_validation_keys_stay_whatever_comes_and_goes(runs: list[set[Place]]) -> None:
    previous: dict[str, Side] = {}
    for places in runs:
        sides = split(places, previous)
        for key in sides.keys() & previous.keys():
            if previous[key] != "train":
                assert sides[key] == previous[key]
        previous |= sides


@quick
@given(histories)
def test_training_gives_up_an_old_key_only_for_validation_and_keeps_one(
    runs: list[set[Place]],
) -> None:
    previous: dict[str, Side] = {}
    for places in runs:
        sides = split(places, previous)
        for own in members(places).values():
            old = {key for key in own if previous.get(key) == "train"}
            assert all(sides[key] in ("train", "validation") for key in old)
            assert not old or "train" in {sides[key] for key in own}
        previous |= sides


@quick
@given(unshared, some_categories)
def test_moving_files_to_another_category_takes_none_out_of_test(
    places: set[Place], other: str
) -> None:
    before = split(places)
    after = split({(other, key) for _, key in places}, before)
    tested = {key for key, side in before.items() if side == "test"}
    assert all(after[key] == "test" for key in tested)


def test_an_old_test_key_does_not_train_even_if_its_category_has_nothing_else() -> None:
    for key in (hashed_to("train", 1)[0], hashed_to("test", 1)[0]):
        assert split([("cat", key)], {key: "test"}) == {key: "test"}
        assert split([("cat", key)], {key: "validation"}) == {key: "validation"}


@pytest.mark.parametrize("side", SIDES)
def test_a_new_key_goes_to_validation_before_an_old_one(side: Side) -> None:
    previous: dict[str, Side] = dict.fromkeys(hashed_to("train", 7), "train")
    new = next(key for key in hashed_to(side, 8) if key not in previous)
    sides = split([("cat", key) for key in [*previous, new]], previous)
    assert sides == {**previous, new: "validation"}


def test_without_a_new_key_one_old_key_leaves_training_for_validation() -> None:
    previous: dict[str, Side] = dict.fromkeys(hashed_to("train", 4), "train")
    sides = split([("cat", key) for key in previous], previous)
    assert Counter(sides.values()) == {"train": 3, "validation": 1}
    assert split([("cat", key) for key in previous], sides) == sides


def test_the_last_old_key_stays_in_training() -> None:
    train, test = hashed_to("train", 2)
    previous: dict[str, Side] = {train: "train", test: "test"}
    assert split([("cat", train), ("cat", test)], previous) == previous


# --- sides that the user gave


@quick
@given(
    st.lists(st.tuples(some_categories, keys, st.sampled_from([None, *SIDES]))),
    st.dictionaries(keys, st.sampled_from(SIDES)),
)
def test_given_sides_win_and_the_one_farthest_from_training(
    rows: list[tuple[str, str, Side | None]], previous: dict[str, Side]
) -> None:
    sides = assign([picture(*row) for row in rows], previous)
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
@given(unshared, st.sampled_from([(), ("validation",), ("test",)]))
def test_sides_that_are_not_to_be_drawn_stay_empty(
    places: set[Place], draw: tuple[Side, ...]
) -> None:
    assert set(split(places, draw=draw).values()) <= {"train", *draw}


def test_no_pictures_have_no_sides() -> None:
    assert assign([], {"old": "test"}) == {}
