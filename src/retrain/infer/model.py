"""An opened bundle that names pictures: the one class behind guesses, evaluation and serving."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retrain.config import GuessConfig, GuessPrecision
from retrain.data.images import (
    MAX_PIXELS,
    BadPicture,
    Pixels,
    extension,
    read_bytes,
    read_pixels,
    upright_pixels,
)
from retrain.data.stream import batched, cores, ordered
from retrain.errors import BundleError, InputsFailed
from retrain.infer.choice import open_engine
from retrain.infer.engine import Answer
from retrain.infer.familiar import read_reference
from retrain.infer.guess import Guess, Source
from retrain.infer.names import own_suffix
from retrain.infer.stamp import stamp_of
from retrain.run import Run

_Loaded = tuple[Guess, Pixels] | Guess  # the first lacks its probabilities


class Model:
    """A trained model that stays open; it may be used from several threads at once.

    Nothing here loads TensorFlow, except where a large number of pictures is announced on a machine
    with a GPU.

    run: what was opened.
    categories: the names of the outputs, in their order.
    rules: how pictures become pixels.
    """

    def __init__(
        self,
        run: Run,
        *,
        precision: GuessPrecision = GuessConfig.precision,
        threads: int | None = None,
        pictures: int | None = None,
        most_pixels: int = MAX_PIXELS,
    ) -> None:
        """Open the models of a run.

        Args:
            run: a finished run or a bundle.
            precision: "float32" or "int8" alone; "auto" is int8 with second looks in float32 where
                the bundle offers that.
            threads: the number of cores to use; None for all.
            pictures: the number of pictures to expect, which decides how many work side by side
                and whether a GPU is worth its start; None for any number, on the CPU.
            most_pixels: of a picture file as it is decoded; a larger one cannot be read.

        Raises:
            BundleError: a file of the bundle cannot be read, or there is no int8 model.
        """
        self.run, self.rules = run, run.rules
        self.categories = run.manifest.labels
        self._threads, self._most_pixels = threads or cores(), most_pixels
        self._engine = open_engine(run, precision, pictures, self._threads)
        self._reference = read_reference(run.reference)

    @property
    def least_familiar(self) -> float | None:
        """Below which a picture is unlike anything learned from, 0..1; None where nobody knows."""
        return self._reference.limit if self._reference else None

    def guess(self, picture: Source) -> Guess:
        """Return what a picture shows.

        Args:
            picture: a path, the bytes of a picture file, a PIL image, or uint8 pixels
                [height, width, 3] (RGB) or [height, width] (grey).

        Raises:
            InputsFailed: the picture cannot be read.
        """
        found = self.attempt(picture)
        if found.error:
            raise InputsFailed(f"A picture must be readable. Received: {found.error}.")
        return found

    def attempt(self, picture: Source | Guess) -> Guess:
        """Return what `guess` returns; of a picture that cannot be read, a guess with the reason.

        Args:
            picture: as for `guess`; a guess that was made before is passed through.
        """
        (found,) = self._guess_batch([self._load(picture)])
        return found

    def guess_all(self, pictures: Iterable[Source | Guess]) -> Iterator[Guess]:
        """Yield a guess for each picture, in order; of one that cannot be read it holds the reason.

        Pictures are decoded in threads of their own, ahead of the network. Only a few are in memory
        at a time, so that the iterable may be endless.

        Args:
            pictures: each as for `guess`; a guess that was made before is passed through.
        """
        engine, threads = self._engine, self._threads
        loaded = ordered(self._load, pictures, 2 * threads + 2 * engine.batch, threads)
        batches = batched(loaded, engine.batch)
        from threadpoolctl import threadpool_limits  # which a single guess can do without

        # BLAS has threads of its own, which wait for each other's small products by spinning.
        with threadpool_limits(limits=1, user_api="blas"):
            for guesses in ordered(self._guess_batch, batches, 2 * engine.lanes, engine.lanes):
                yield from guesses

    def pixels(self, picture: Source) -> Pixels:
        """Return what the network sees of a picture, uint8 [size, size, 3].

        Raises:
            InputsFailed: the picture cannot be read.
        """
        loaded = self._load(picture)
        if isinstance(loaded, Guess):
            raise InputsFailed(f"A picture must be readable. Received: {loaded.error}.")
        return loaded[1]

    def probabilities(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return calibrated probabilities, float32 [n, k] in the order of `categories`.

        Args:
            pixels: uint8 [n, size, size, 3], as `pixels` returns them.
        """
        return self._engine.run(pixels).probabilities

    def features(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return the features of the last layer but one, float32 [n, d], of the same pixels."""
        return self._engine.run(pixels).features

    def warm_up(self) -> None:
        """Open and run all that guesses may need, so that nothing is opened, or fails, later.

        Raises:
            BundleError: a file cannot be read, or does not give a probability for each category.
        """
        size = self.rules.size
        answer = self._engine.warm_up(np.full((1, size, size, 3), 127, np.uint8))
        shares = answer.probabilities
        if shares.shape != (1, len(self.categories)) or not np.isclose(shares.sum(), 1, atol=1e-3):
            raise BundleError(
                f"{self.run.folder} does not give a probability for each of its "
                f"{len(self.categories)} categories. Train again."
            )

    def _load(self, picture: Source | Guess) -> _Loaded:
        if isinstance(picture, Guess):
            return picture
        try:
            if isinstance(picture, Image.Image | np.ndarray):
                image = picture if isinstance(picture, Image.Image) else _image(picture)
                return Guess(picture, self.categories), upright_pixels(image, self.rules)
            if isinstance(picture, bytes):
                guess = Guess(picture, self.categories, extension=extension(picture))
                return guess, read_pixels(picture, self.rules, self._most_pixels)
            return self._load_file(Path(picture))
        except BadPicture as error:
            return Guess(picture, self.categories, error=str(error))

    def _load_file(self, path: Path) -> _Loaded:
        stamp = stamp_of(path)  # before it is read: what changes meanwhile is guessed again
        try:
            content = read_bytes(path)
            pixels = read_pixels(content, self.rules, self._most_pixels)
        except BadPicture as error:
            return Guess(path, self.categories, error=str(error), stamp=stamp)
        suffix = own_suffix(path.name) or extension(content)
        return Guess(path, self.categories, extension=suffix, stamp=stamp), pixels

    def _guess_batch(self, loaded: Sequence[_Loaded]) -> list[Guess]:
        readable = [one[1] for one in loaded if not isinstance(one, Guess)]
        answers = iter(self._answers(np.stack(readable)) if readable else ())
        return [
            one if isinstance(one, Guess) else replace(one[0], **next(answers)) for one in loaded
        ]

    def _answers(self, pixels: Pixels) -> Iterator[dict[str, Any]]:
        """Yield what a guess says of each picture, uint8 [n, size, size, 3]."""
        answer = self._engine.run(pixels)
        for probabilities, familiar in zip(
            answer.probabilities, self._familiar(answer), strict=True
        ):
            yield {
                "probabilities": probabilities,
                "familiar": familiar,
                "unlike": familiar is not None and familiar < (self.least_familiar or 0),
            }

    def _familiar(self, answer: Answer) -> Sequence[float | None]:
        if self._reference is None:
            return [None] * len(answer.probabilities)
        found: list[float | None] = self._reference.familiar(answer.features).tolist()
        return found


def _image(pixels: NDArray[np.uint8]) -> Image.Image:
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise BadPicture(
            f"an array {list(pixels.shape)} of {pixels.dtype}, where uint8 [height, width, 3] or "
            "[height, width] is needed"
        )
    try:
        return Image.fromarray(pixels)
    except (TypeError, ValueError) as error:  # 2 or 5 channels, for example
        raise BadPicture(f"an array {list(pixels.shape)}, which is no picture") from error
