"""What can go wrong, and the exit code that says so.

RetrainError
├── DataError         3  the data does not allow it
├── WeightsError      4  pretrained weights are out of reach
├── BundleError       5  no model, or one that this version cannot read
├── InputsFailed      6  finished, but some inputs failed
├── ChecksFailed      7  trained, but the model did not pass its checks
├── MachineError      8  the machine does not allow it
└── UsageError        2  the command line is wrong

The library raises these; `cli/main.py` alone turns them into one line and an exit code.
"""


class RetrainError(Exception):
    """Base of all expected errors; its message is one line: rule, what was received, what to do.

    setting: the name of the setting that is wrong or that would help, as the Python API has it; ""
    where there is none. The command line tells which of its options that is.
    """

    exit_code = 1

    def __init__(self, message: str = "", *, setting: str = "") -> None:
        super().__init__(message)
        self.setting = setting


class UsageError(RetrainError):
    """A setting or an argument is wrong, or two of them do not go together."""

    exit_code = 2


class DataError(RetrainError):
    """No pictures, one category, no readable file."""

    exit_code = 3


class WeightsError(RetrainError):
    """Pretrained weights are missing, damaged or out of reach."""

    exit_code = 4


class BundleError(RetrainError):
    """No trained model, a damaged one, or one of a newer version."""

    exit_code = 5


class InputsFailed(RetrainError):
    """The job finished, but some of its inputs failed; they have been listed."""

    exit_code = 6


class ChecksFailed(RetrainError):
    """The trained model failed its checks; its run is kept, the old model stays."""

    exit_code = 7


class MachineError(RetrainError):
    """Workspace in use, disk full, folder not writable."""

    exit_code = 8


class Terminated(BaseException):
    """SIGTERM arrived. Like KeyboardInterrupt it is no Exception, so that nothing swallows it."""


def first_line(error: BaseException) -> str:
    r"""Return the first line of an error's message, or the name of its kind where it has none.

    Libraries tend to raise messages of many lines, of which the first says what is wrong.

    >>> first_line(ValueError("No such layer.\nThe layers are ...")), first_line(KeyError())
    ('No such layer.', 'KeyError')
    """
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
