"""The command line: commands are registered here, errors become one line and an exit code."""

import os
import shutil
import signal
import subprocess
import sys
import traceback
import warnings
from types import FrameType
from typing import NoReturn

import typer
from typer.exceptions import TyperException

from retrain.cli import doctor, guess, guess_dir, train, weights
from retrain.errors import RetrainError, Terminated
from retrain.version import VERSION

EXIT_BUG, EXIT_USAGE, EXIT_INTERRUPTED, EXIT_TERMINATED = 1, 2, 130, 143

NATIVE_CHATTER = (
    r"^[IW][0-9]{4} |^WARNING: All log messages before absl|^INFO: Created TensorFlow Lite"
    r"|^To enable the following instructions"
)

app = typer.Typer(
    name="retrain",
    help="Turn a folder of pictures into an image classifier.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train")(train.command)
app.command("guess")(guess.command)
app.command("guess-dir")(guess_dir.command)
app.command("weights")(weights.command)
app.command("doctor")(doctor.command)


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
    debug: bool = typer.Option(False, "--debug", help="Show tracebacks of errors."),
) -> None:
    """Turn a folder of pictures into an image classifier."""
    if version:
        typer.echo(f"retrain {VERSION}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(EXIT_USAGE)


def main() -> NoReturn:
    """Run the command line and exit with the code that the README promises."""
    debug = "--debug" in sys.argv
    if debug:  # anywhere on the line, as people type it
        sys.argv = [sys.argv[0], *(arg for arg in sys.argv[1:] if arg != "--debug")]
    _quiet_libraries(debug)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        _run_command()
        code = 0
    except typer.Exit as error:
        code = error.exit_code
    except TyperException as error:
        code = _tell(_usage(error), EXIT_USAGE, debug)
    except RetrainError as error:
        code = _tell(str(error), error.exit_code, debug)
    except (KeyboardInterrupt, typer.Abort):
        code = _tell("Interrupted. The same command starts again.", EXIT_INTERRUPTED, False)
    except Terminated:
        code = _tell("Terminated. The same command starts again.", EXIT_TERMINATED, False)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        kind = type(error).__name__
        code = _tell(
            f"A bug, please report it: {kind}: {error} (--debug shows more)", EXIT_BUG, debug
        )
    sys.exit(code)


def _run_command() -> None:
    """Do what `app()` does, but let every exception through: it makes codes of its own of some."""
    with typer.main.get_command(app).make_context("retrain", sys.argv[1:]) as context:
        context.command.invoke(context)


def _usage(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "retrain"
    return f"{error.format_message().rstrip('.')}. See {command} --help"


def _tell(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"retrain: {' '.join(message.split())}", file=sys.stderr)
    return code


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated


def _quiet_libraries(debug: bool) -> None:
    for stream in (sys.stdout, sys.stderr):  # a file name may hold what the terminal cannot show
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if debug:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore", module="PIL")
    _filter_native_log()


def _filter_native_log() -> None:
    """Keep the chatter of TensorFlow's and LiteRT's C++ off the terminal, and only that.

    They write to file descriptor 2, whatever Python does with `sys.stderr`. A process of its own
    passes the rest on, so that the last words of a crash are not lost.
    """
    grep = shutil.which("grep")
    if grep is None:
        return
    own = os.dup(2)
    command = [grep, "--line-buffered", "-a", "-v", "-E", NATIVE_CHATTER]
    filtering = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=own, start_new_session=True)
    if filtering.stdin is not None:
        os.dup2(filtering.stdin.fileno(), 2)
        filtering.stdin.close()
    sys.stderr = open(own, "w", buffering=1, errors="backslashreplace")  # noqa: PTH123, SIM115
