"""Ctrl-C and SIGTERM: raised where they arrive, and again at the next step should that get lost.

A signal's exception comes up in whatever line of Python runs just then. In a destructor, of which
TensorFlow runs thousands while it traces a graph, Python drops it; in a lock that is half taken it
comes out as another error.
"""

import signal
from types import FrameType
from typing import NoReturn

from retrain.errors import Terminated

_EXCEPTIONS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}
_asked: type[BaseException] | None = None


def listen() -> None:
    """Answer both signals from now on, but those that are ignored, as SIGINT is behind `&`."""
    for number in _EXCEPTIONS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)


def asked() -> type[BaseException] | None:
    """Return what the last signal raised, None if none came."""
    return _asked


def check() -> None:
    """Raise what a signal asked for and nobody passed on.

    Raises:
        KeyboardInterrupt: after SIGINT.
        Terminated: after SIGTERM.
    """
    if _asked is not None:
        raise _asked


def _raise(number: int, _frame: FrameType | None) -> NoReturn:
    global _asked  # a signal belongs to the process, and so does what it asked for
    _asked = _EXCEPTIONS[signal.Signals(number)]
    raise _asked
