"""What `/metrics` tells, in Prometheus' text format; several processes count together.

All counters are one array of float64, a place each. With several workers each has such an array in
a file of its own, which the others map into memory and add up.
"""

import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DIALECTS = ("tensorflow", "v2", "huggingface", "form", "page", "other")
CODES = (
    *(200, 201, 303, 400, 401, 403, 404, 405, 408, 409, 413, 415, 421, 429),
    *(500, 503, 507, 0),
)
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds
SINGLE = ("pictures", "unreadable", "taken_over", "refused", "body", "seconds")

Key = tuple[str, ...]
_PLACES: dict[Key, int] = {
    key: place
    for place, key in enumerate(
        [
            *(("requests", dialect, str(code)) for dialect in DIALECTS for code in CODES),
            *(("bucket", str(bound)) for bound in (*BOUNDS, "+Inf")),
            *((name,) for name in SINGLE),
        ]
    )
}


class Counters:
    """Numbers that only grow."""

    def __init__(self, folder: Path | None = None) -> None:
        """Start at zero.

        Args:
            folder: where workers put their files; None for one process.
        """
        self._folder = folder
        self._own: NDArray[np.float64] = np.zeros(len(_PLACES))
        if folder is not None:
            self._own = np.memmap(
                folder / str(os.getpid()), np.float64, "w+", shape=self._own.shape
            )

    def add(self, *key: str, amount: float = 1) -> None:
        """Count."""
        self._own[_PLACES[key]] += amount

    def request(self, dialect: str, code: int, seconds: float) -> None:
        """Count a request."""
        self.add("requests", dialect, str(code if code in CODES else 0))
        bound = next((str(bound) for bound in BOUNDS if seconds <= bound), "+Inf")
        self.add("bucket", bound)
        self.add("seconds", amount=seconds)

    def _all(self) -> NDArray[np.float64]:
        if self._folder is None:
            return self._own
        total = np.zeros(len(_PLACES))
        for file in sorted(self._folder.iterdir()):
            total += np.fromfile(file, np.float64, len(_PLACES))
        return total

    def text(self, run: str, version: str, busy: int) -> str:
        """Return all of it for Prometheus.

        Args:
            run: the name of the model's run.
            version: of the model.
            busy: requests that are being guessed by this process.
        """
        return "\n".join(_lines(self._all(), run, version, busy)) + "\n"


def _lines(values: NDArray[np.float64], run: str, version: str, busy: int) -> Iterator[str]:
    yield from _head("requests_total", "counter", "Requests by protocol and status.")
    for key, place in _PLACES.items():
        if key[0] == "requests" and values[place]:
            yield _line("requests_total", values[place], protocol=key[1], status=key[2])
    yield from _head("request_seconds", "histogram", "Seconds from the first line to the answer.")
    total = 0.0
    for bound in (*map(str, BOUNDS), "+Inf"):
        total += values[_PLACES["bucket", bound]]
        yield _line("request_seconds_bucket", total, le=bound)
    yield _line("request_seconds_sum", values[_PLACES[("seconds",)]])
    yield _line("request_seconds_count", total)
    singles = {
        "pictures": ("pictures_total", "Pictures that came, readable or not."),
        "unreadable": ("unreadable_pictures_total", "Pictures that could not be read."),
        "body": ("body_bytes_total", "Bytes of bodies that were read."),
        "taken_over": ("models_taken_over_total", "New models that were taken over."),
        "refused": ("models_refused_total", "New models that could not be used."),
    }
    for counter, (name, text) in singles.items():
        yield from _head(name, "counter", text)
        yield _line(name, values[_PLACES[(counter,)]])
    yield from _head("requests_busy", "gauge", "Requests that are being guessed.")
    yield _line("requests_busy", busy)
    yield from _head("memory_peak_bytes", "gauge", "The most memory that the process ever had.")
    yield _line("memory_peak_bytes", _peak())
    yield from _head("model_info", "gauge", "The model that is served.")
    yield _line("model_info", 1, run=run, version=version)


def _head(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP retrain_{name} {text}", f"# TYPE retrain_{name} {kind}"


def _line(name: str, value: float, **labels: str) -> str:
    r"""Return one line of Prometheus' text.

    >>> _line("up", 1.0, job='a "b"')
    'retrain_up{job="a \\"b\\""} 1'
    """
    pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"retrain_{name}{f'{{{pairs}}}' if pairs else ''} {value:.15g}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _peak() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
