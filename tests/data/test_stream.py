"""Work in threads that must look like work in a row."""

import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pictures import write_jpegs
from retrain.data.images import PixelRules, read_bytes, read_pixels
from retrain.data.stream import cores, ordered, pixel_batches
from retrain.errors import DataError

RULES = PixelRules(16, "squash")


def slower_first(number: int) -> int:
    """Return a number's square; of four in a row the first takes longest."""
    time.sleep(0.004 * (3 - number % 4))
    return number * number


def same(number: int) -> int:
    return number


class Source:
    """Numbers without end that remember how many were taken."""

    def __init__(self) -> None:
        self.taken = 0

    def __iter__(self) -> Iterator[int]:
        for number in itertools.count():
            self.taken += 1
            yield number


@pytest.mark.parametrize("ahead", [1, 3, 100])
@pytest.mark.parametrize("threads", [1, 4, None])
def test_results_keep_the_order_of_the_items(ahead: int, threads: int | None) -> None:
    results = list(ordered(slower_first, range(20), ahead, threads))
    assert results == [number * number for number in range(20)]


def test_no_items_give_no_results() -> None:
    assert list(ordered(same, [], ahead=4)) == []


def test_work_goes_on_in_several_threads() -> None:
    both = threading.Barrier(2, timeout=10)
    assert len(list(ordered(lambda _: both.wait(), range(4), ahead=2, threads=2))) == 4


@pytest.mark.parametrize("ahead", [1, 2, 7])
def test_no_more_than_ahead_items_are_in_flight(ahead: int) -> None:
    source = Source()
    in_flight = []
    results = ordered(same, source, ahead, threads=3)
    for received in range(30):
        assert next(results) == received
        in_flight.append(source.taken - received)
    results.close()  # type: ignore[attr-defined]
    assert set(in_flight) == {ahead}


def test_an_exception_arrives_in_its_turn_and_stops_the_work() -> None:
    source = Source()

    def fails_at_five(number: int) -> int:
        if number == 5:
            raise ValueError("five")
        return number

    results = ordered(fails_at_five, source, ahead=3, threads=2)
    assert list(itertools.islice(results, 5)) == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="five"):
        next(results)
    assert list(results) == []
    assert source.taken <= 5 + 3


def test_after_an_exception_what_waits_is_not_begun() -> None:
    begun = []

    def fails_at_once(number: int) -> None:
        begun.append(number)
        if number == 0:
            raise ValueError("none")
        time.sleep(0.01)

    with pytest.raises(ValueError, match="none"):
        list(ordered(fails_at_once, range(100), ahead=100, threads=1))
    assert len(begun) < 50


def test_an_exception_of_the_source_arrives_too() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(ordered(same, source(), ahead=4))


def test_closing_early_ends_the_threads() -> None:
    before = threading.active_count()
    results = ordered(slower_first, Source(), ahead=8, threads=4)
    next(results)
    assert threading.active_count() > before
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_there_is_a_core() -> None:
    assert cores() >= 1


@pytest.mark.parametrize(
    ("count", "batch", "sizes"), [(7, 3, [3, 3, 1]), (6, 3, [3, 3]), (2, 5, [2]), (0, 4, [])]
)
def test_batches_are_full_but_the_last(
    tmp_path: Path, count: int, batch: int, sizes: list[int]
) -> None:
    paths = write_jpegs(tmp_path, "disc", count)
    batches = list(pixel_batches(paths, RULES, batch))
    assert [len(one) for one in batches] == sizes
    assert all(one.dtype == np.uint8 and one.shape[1:] == (16, 16, 3) for one in batches)
    expected = [read_pixels(read_bytes(path), RULES) for path in paths]
    for got, wanted in zip((p for one in batches for p in one), expected, strict=True):
        assert np.array_equal(got, wanted)


@pytest.mark.parametrize("vanished", [True, False])
def test_a_picture_that_vanishes_or_breaks_is_named(tmp_path: Path, vanished: bool) -> None:
    paths = write_jpegs(tmp_path, "disc", 8)
    batches = pixel_batches(paths, RULES, 2)
    assert len(next(batches)) == 2
    if vanished:
        paths[6].unlink()
    else:
        paths[6].write_text("no picture any more")
    with pytest.raises(DataError, match=r"disc-006\.jpg: \w.*Start again") as error:
        list(batches)
    assert error.value.exit_code == 3
