"""How the library tells a person what it does, without knowing where that person sits."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

Advance = Callable[[int], None]


class Reporter(Protocol):
    """Receives what a job has to say; the command line's is in `cli/console.py`."""

    def say(self, text: str) -> None:
        """Tell one line of news."""

    def warn(self, text: str) -> None:
        """Tell one line that the user should act on."""

    def bar(self, label: str, total: int) -> AbstractContextManager[Advance]:
        """Show progress towards `total`; the value entered is called with each step's count."""

    def table(self, columns: Sequence[str]) -> Callable[[Sequence[str]], None]:
        """Start a table; the returned function adds a row at once."""


class Silent:
    """A Reporter for callers that want results only."""

    def say(self, text: str) -> None:
        """Drop the news."""

    def warn(self, text: str) -> None:
        """Drop the warning."""

    def bar(self, label: str, total: int) -> AbstractContextManager[Advance]:
        """Show nothing."""
        return nullcontext(lambda _: None)

    def table(self, columns: Sequence[str]) -> Callable[[Sequence[str]], None]:
        """Show nothing."""
        return lambda _: None


class BarsOnly(Silent):
    """A Reporter that shows another one's bars, for what a job does by the way."""

    def __init__(self, inner: Reporter) -> None:
        self._inner = inner

    def bar(self, label: str, total: int) -> AbstractContextManager[Advance]:
        """Show the bar."""
        return self._inner.bar(label, total)


_CONTROLS = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160))}


def one_line(text: str) -> str:
    r"""Write what would end a line or steer a terminal, as file names may, as escapes.

    >>> one_line("a\nb")
    'a\\nb'
    """
    return text.translate(_CONTROLS)


def duration(seconds: float) -> str:
    """Write a number of seconds as people say it.

    >>> duration(8.4), duration(125), duration(7300)
    ('8 s', '2 min 5 s', '2 h 1 min')
    """
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Write a count with its noun.

    >>> counted(1, "picture"), counted(3, "category", "categories")
    ('1 picture', '3 categories')
    """
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def listed(words: Sequence[str]) -> str:
    """Write words as a list in a sentence.

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
