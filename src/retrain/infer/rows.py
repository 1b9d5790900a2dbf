"""What is known of one source: a line of results.csv."""

import re
from dataclasses import dataclass, fields, replace

from retrain.infer.stamp import Stamp

_WHOLE = re.compile(r"(-?\d{1,15})(?:[.,]0*)?")


@dataclass(frozen=True)
class Row:
    """One line of results.csv; every cell is text, empty where there is nothing to say.

    source: absolute path. copy: its name in DEST, such as "cat-0.99000.jpg" or "cat/1.jpg", or its
    absolute path where it is set aside elsewhere. category, score: the best, the score with five
    decimals. error: why there is no guess. run: of the model. size, time: the source's, in bytes
    and in seconds since 1970, when it was guessed. copy_size, copy_time: the copy's, when it was
    made. familiar: how usual the picture is for the model, 0..1, with five decimals; empty where
    the model cannot tell.
    """

    source: str
    copy: str = ""
    category: str = ""
    score: str = ""
    error: str = ""
    run: str = ""
    size: str = ""
    time: str = ""
    copy_size: str = ""
    copy_time: str = ""
    familiar: str = ""

    @property
    def stamp(self) -> Stamp | None:
        """The source's; None where it is unknown, as in rows of version 0.1."""
        return _stamp(self.size, self.time)

    @property
    def copy_stamp(self) -> Stamp | None:
        """The copy's; None where it is unknown."""
        return _stamp(self.copy_size, self.copy_time)

    def of_source(self, stamp: Stamp | None) -> "Row":
        """Return the row with the source's stamp."""
        size, time = _cells(stamp)
        return replace(self, size=size, time=time)

    def of_copy(self, copy: str, stamp: Stamp | None = None) -> "Row":
        """Return the row with another copy."""
        size, time = _cells(stamp)
        return replace(self, copy=copy, copy_size=size, copy_time=time)

    def failed(self, error: str, run: str) -> "Row":
        """Return the row with an error in place of a guess; a copy of an earlier guess stays."""
        return replace(self, category="", score="", error=error, run=run, familiar="")


COLUMNS = tuple(entry.name for entry in fields(Row))
FIRST_COLUMNS = COLUMNS[:6]  # those of version 0.1


def _cells(stamp: Stamp | None) -> tuple[str, str]:
    return (str(stamp.size), str(stamp.time)) if stamp else ("", "")


def _stamp(size: str, time: str) -> Stamp | None:
    """Read two cells; a spreadsheet may have added decimals, or taken digits away for good.

    >>> _stamp("700", "1784550000"), _stamp("700,0", "1.78E+09")
    (Stamp(size=700, time=1784550000), None)
    """
    cells = [_WHOLE.fullmatch(cell.strip()) for cell in (size, time)]
    return Stamp(*(int(cell[1]) for cell in cells if cell)) if all(cells) else None
