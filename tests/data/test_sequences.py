"""Neighbours by name and by the camera's clock."""

import pytest

from retrain.data.fingerprints import NO_TIME
from retrain.data.sequences import APART, BURST, REACH, neighbours


def pairs(names: list[str], taken: list[int] | None = None) -> set[tuple[int, int]]:
    found = neighbours(names, taken or [NO_TIME] * len(names))
    assert all(one.first < one.second and one.evidence for one in found)
    return {(one.first, one.second) for one in found}


def test_frames_in_steps_of_three_are_neighbours() -> None:
    assert (0, 1) in pairs(["stop/00001_00003.ppm", "stop/00001_00006.ppm"])


def test_numbers_are_ordered_as_numbers() -> None:
    names = [f"cat/img{number}.jpg" for number in (100, 9, 10, 11, 12)]
    assert pairs(names) == {(1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (0, 2), (0, 3), (0, 4), (3, 4)}


@pytest.mark.parametrize(
    "names",
    [
        ["cat/a1.jpg", "dog/a2.jpg"],
        ["cat/a1.jpg", "cat/b2.jpg"],
        ["cat/film1/2.jpg", "cat/film2/3.jpg"],
        ["cat/one.jpg", "cat/two.jpg"],
        ["cat/1.jpg", "cat/2b.jpg"],
        ["cat/1-17076686b1af.jpg", "cat/1-98ee2190de23.jpg"],
    ],
)
def test_different_folders_and_names_are_no_neighbours(names: list[str]) -> None:
    assert not pairs(names)


def test_an_ending_is_no_part_of_the_name() -> None:
    assert pairs(["cat/1.jpg", "cat/2.png"]) == {(0, 1)}
    assert pairs(["cat/1", "cat/2"]) == pairs(["v1.5/1", "v1.5/2"]) == {(0, 1)}


def test_a_burst_is_known_by_its_times_whatever_its_names() -> None:
    assert pairs(["cat/x.jpg", "dog/y.jpg", "dog/z.jpg"], [0, BURST, 2 * BURST + 1]) == {(0, 1)}


def test_times_far_apart_outweigh_numbers() -> None:
    assert not pairs(["cat/1.jpg", "cat/2.jpg"], [0, APART + 1])
    assert pairs(["cat/1.jpg", "cat/2.jpg"], [0, NO_TIME])


def test_a_long_film_has_few_neighbours_a_frame() -> None:
    names = [f"cat/{number}.jpg" for number in range(100)]
    assert len(pairs(names, [5] * 100)) <= 2 * REACH * 100
