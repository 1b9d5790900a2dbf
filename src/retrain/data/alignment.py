"""Lays one thumbnail over another, moved and scaled as fits best, and says how alike they are.

Gauss-Newton on the normalised difference of brightness, from coarse to fine (Lucas and Kanade 1981;
Baker and Matthews 2004), for many pairs at a time. Pure: arrays in, arrays out.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from retrain.data.fingerprints import Fingerprints
from retrain.data.stream import cores, ordered

Array = NDArray[np.float32]
Rows = NDArray[np.int64]

AT_ONCE = 256  # pairs, so that their thumbnails stay in the processor's cache
LEVELS = ((16, 6), (32, 5), (64, 3))  # sides in pixels, with iterations
# Likeness at a level below which no finer one is looked at: of 14,000 pairs of three sets none that
# reached .85 at the finest had less than .65 and .80 before.
GIVE_UP = (0.6, 0.8)
SCALES = (0.5, 2.0)  # of a side; thumbnails are of equal size
SHIFT = 0.5  # of half a side
STEP = 0.1  # at most an iteration
DAMPING = 1e-4
DARK, BRIGHT = 6, 249  # beyond, a brightened copy has lost what it was
ENOUGH = 0.25  # of the picture must be neither too dark nor too bright to look at that part alone
DETAIL = 2.0  # pixels: standard deviation of the blur that is taken off
GAIN = (0.4, 2.5)  # of saturation, which is no other colour
UNKNOWN = -1.0


@dataclass(frozen=True)
class Likeness:
    """How alike pairs are, laid over one another; float32 [m] each.

    whole: correlation of brightness, -1..1, at the finest level that both pictures have pixels for.
    detail: the same without what is blurred; UNKNOWN where `whole` is too low to look.
    colour: how far colours differ beyond their saturation, root mean square of 0..255.
    overlap: share of the second picture that the first covers, 0..1.
    """

    whole: Array
    detail: Array
    colour: Array
    overlap: Array


def likeness(
    records: Fingerprints,
    first: Rows,
    second: Rows,
    mirrored: NDArray[np.bool],
    start: Array,
    advance: Callable[[int], None] = lambda _: None,
) -> Likeness:
    """Compare pairs of pictures, on all cores.

    Args:
        records: of all pictures; may be mapped from a file.
        first: the row of each pair's first picture, int64 [m].
        second: the row of its second picture, int64 [m].
        mirrored: bool [m]; where true, the second one is turned round first.
        start: float32 [m, 4], where the first lies over the second to begin with: scale and shift
            across, scale and shift down, where a picture reaches from -1 to 1.
        advance: is told how many more pairs are done.
    """

    def compared(rows: slice) -> Array:
        a, b = records[first[rows]], records[second[rows]]
        return _compare(a, b, mirrored[rows], start[rows].copy())

    found, done = np.empty((4, len(first)), np.float32), 0
    # NumPy works outside the interpreter's lock on arrays of this size.
    for part in ordered(compared, portions(len(first), AT_ONCE), ahead=2 * cores()):
        found[:, done : done + part.shape[1]] = part
        done += part.shape[1]
        advance(part.shape[1])
    return Likeness(*found)


def portions(count: int, size: int) -> Iterator[slice]:
    """Yield the slices that cut `count` rows into portions of at most `size`."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def _compare(a: Fingerprints, b: Fingerprints, mirrored: NDArray[np.bool], warp: Array) -> Array:
    one, other = a["grey"].astype(np.float32), b["grey"].astype(np.float32)
    other[mirrored] = other[mirrored, :, ::-1]
    sides = np.minimum.reduce([a["width"], a["height"], b["width"], b["height"]])
    wanted = np.where(sides >= 48, 2, 1)  # the finest level with real pixels
    found = np.full((4, len(a)), UNKNOWN, np.float32)
    left = np.arange(len(a))
    for level, (side, iterations) in enumerate(LEVELS):
        x, y = shrunk(one[left], side), shrunk(other[left], side)
        warp[left] = _fitted(x, y, warp[left], iterations)
        laid, mask, inside = _laid(x, y, warp[left])
        whole = _correlation(laid, y, mask)
        here = wanted[left] >= level
        found[0, left[here]] = whole[here]
        found[3, left] = inside.mean(axis=(1, 2))
        if level:  # at 16 pixels there is no detail
            band = _correlation(_detail(laid, mask), _detail(y, mask), mask)
            found[1, left[here]] = band[here]
        if level < len(GIVE_UP):
            left = left[whole >= GIVE_UP[level]]
    found[2] = _colours_apart(a["colour"], b["colour"], mirrored, warp)
    return found


def shrunk(images: Array, side: int) -> Array:
    """Return square images [m, n, n] at a side that divides theirs."""
    factor = images.shape[1] // side
    blocks = images.reshape(len(images), side, factor, side, factor)
    return np.asarray(blocks.mean(axis=(2, 4)), np.float32)


def _detail(images: Array, mask: NDArray[np.bool]) -> Array:
    """Take off what is blurred, without what the mask hides, such as a border."""
    blurred = gaussian_filter(np.where(mask, images, 0), (0, DETAIL, DETAIL))
    share = gaussian_filter(mask.astype(np.float32), (0, DETAIL, DETAIL))
    return np.asarray(images - blurred / np.maximum(share, 1e-3), np.float32)


def _centres(side: int) -> Array:
    """Return the pixels' centres where a picture reaches from -1 to 1."""
    return np.asarray((np.arange(side) + 0.5) / side * 2 - 1, np.float32)


def sampled(images: Array, warp: Array) -> tuple[Array, NDArray[np.bool]]:
    """Return images [m, n, n] at scale * centre + shift, and where that is inside."""
    side = images.shape[1]
    across = warp[:, 0:1] * _centres(side) + warp[:, 1:2]
    down = warp[:, 2:3] * _centres(side) + warp[:, 3:4]
    inside = (np.abs(down) <= 1)[:, :, None] & (np.abs(across) <= 1)[:, None, :]
    rows = _weights((down + 1) * side / 2 - 0.5, side) @ images
    return np.asarray(
        rows @ _weights((across + 1) * side / 2 - 0.5, side).transpose(0, 2, 1)
    ), inside


def _weights(places: Array, side: int) -> Array:
    """Return what interpolates linearly at places [m, n] in pixels, as matrices [m, n, side].

    Products with these take half the time of looking the pixels up.
    """
    low = np.clip(np.floor(places), 0, side - 2)
    share = np.clip(places - low, 0, 1)[:, :, None]
    columns = low.astype(np.int64)[:, :, None]
    found = np.zeros((*places.shape, side), np.float32)
    np.put_along_axis(found, columns, 1 - share, 2)
    np.put_along_axis(found, columns + 1, share, 2)
    return found


def _laid(x: Array, y: Array, warp: Array) -> tuple[Array, NDArray[np.bool], NDArray[np.bool]]:
    """Return x as it lies over y, the pixels that are to be compared, and those that it covers."""
    laid, inside = sampled(x, warp)
    clear = inside & (laid > DARK) & (laid < BRIGHT) & (y > DARK) & (y < BRIGHT)
    enough = clear.mean(axis=(1, 2)) >= ENOUGH
    return laid, np.where(enough[:, None, None], clear, inside), inside


def _normal(images: Array, mask: NDArray[np.bool]) -> Array:
    """Return images with mean 0 and length 1 inside the mask, 0 outside."""
    count = mask.sum(axis=(1, 2), keepdims=True) + 1e-6
    images = np.where(mask, images, 0)
    centred = np.where(mask, images - images.sum(axis=(1, 2), keepdims=True) / count, 0)
    length = np.sqrt(np.square(centred).sum(axis=(1, 2), keepdims=True))
    return np.asarray(centred / (length + 1e-3), np.float32)


def _correlation(x: Array, y: Array, mask: NDArray[np.bool]) -> Array:
    return np.asarray((_normal(x, mask) * _normal(y, mask)).sum(axis=(1, 2)))


def _fitted(x: Array, y: Array, warp: Array, iterations: int) -> Array:
    """Improve warps [m, 4] (scale and shift across, scale and shift down) of x onto y.

    Steps can lead astray, as where a bright rim is all the contrast there is; so what fitted best
    on the way is returned, the beginning included.
    """
    side = x.shape[1]
    centres = _centres(side)
    best, likest = warp, np.full(len(x), -np.inf, np.float32)
    for remaining in range(iterations, -1, -1):
        laid, mask, _ = _laid(x, y, warp)
        normal, aim = _normal(laid, mask), _normal(y, mask)
        alike = (normal * aim).sum(axis=(1, 2))
        best = np.where((alike > likest)[:, None], warp, best)
        likest = np.maximum(alike, likest)
        if not remaining:
            break
        down, across = np.gradient(normal, axis=(1, 2))
        across = np.where(mask, across, 0) * (side / 2) / warp[:, 0, None, None]
        down = np.where(mask, down, 0) * (side / 2) / warp[:, 2, None, None]
        slopes = np.stack(
            [across * centres, across, down * centres[:, None], down], axis=1
        ).reshape(len(x), 4, side * side)
        missing = (aim - normal).reshape(len(x), side * side, 1)
        curvature = slopes @ slopes.transpose(0, 2, 1) + DAMPING * np.eye(4, dtype=np.float32)
        step = np.linalg.solve(curvature, slopes @ missing)[..., 0]
        warp = warp + np.clip(step, -STEP, STEP)
        warp[:, 0::2] = np.clip(warp[:, 0::2], *SCALES)
        warp[:, 1::2] = np.clip(warp[:, 1::2], -SHIFT, SHIFT)
    return np.asarray(best, np.float32)


def _colours_apart(
    first: NDArray[np.uint8], second: NDArray[np.uint8], mirrored: NDArray[np.bool], warp: Array
) -> Array:
    """Return the distance of colours that are laid over one another, whatever their saturation."""
    x, y = (values.astype(np.float32) - 128 for values in (first, second))
    y[mirrored] = y[mirrored, :, ::-1]
    planes = [sampled(x[..., plane], warp) for plane in range(2)]
    laid, inside = np.stack([values for values, _ in planes], axis=-1), planes[0][1]
    laid, y = laid * inside[..., None], y * inside[..., None]
    power = np.square(laid).sum(axis=(1, 2, 3))
    gain = np.clip((laid * y).sum(axis=(1, 2, 3)) / (power + 1e-6), *GAIN)
    apart = np.square(y - gain[:, None, None, None] * laid).sum(axis=(1, 2, 3))
    return np.asarray(np.sqrt(apart / (inside.sum(axis=(1, 2)) + 1e-6)), np.float32)
