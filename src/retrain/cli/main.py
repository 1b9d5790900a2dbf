"""The command line: commands are registered here, errors become one line and an exit code."""

import logging
import os
import shutil
import subprocess
import sys
import traceback
import warnings
from typing import NoReturn

import click

from retrain.cli import (
    check,
    clean,
    cluster,
    compare,
    doctor,
    download,
    evaluate,
    explain,
    export,
    frames,
    guess,
    guess_dir,
    import_,
    interrupts,
    lr_find,
    report,
    runs,
    serve,
    show_batch,
    show_data,
    train,
    vary,
    weights,
)
from retrain.cli.container import tell_of_links
from retrain.errors import RetrainError, Terminated
from retrain.version import VERSION

EXIT_BUG, EXIT_USAGE, EXIT_INTERRUPTED, EXIT_TERMINATED = 1, 2, 130, 143

NATIVE_CHATTER = (
    r"^[IW][0-9]{4} |^WARNING: All log messages before absl|^INFO: Created TensorFlow Lite"
    r"|^To enable the following instructions|^fully_quantize: |gcs_client\.cc:"
)


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, message="retrain %(version)s")
@click.option("--debug", is_flag=True, help="Show tracebacks of errors.")
@click.pass_context
def app(context: click.Context, debug: bool) -> None:
    """Turn a folder of pictures into an image classifier."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(EXIT_USAGE)


COMMANDS = (
    *(train, guess, guess_dir, evaluate, compare, explain, report, check),
    *(clean, download, frames, import_, vary, serve, export, cluster),
    *(runs, show_batch, show_data, lr_find, weights, doctor),
)
for module in COMMANDS:
    app.add_command(module.command)


def main() -> NoReturn:
    """Run the command line and exit with the code that the README promises."""
    debug = "--debug" in sys.argv
    if debug:  # anywhere on the line, as people type it
        sys.argv = [sys.argv[0], *(arg for arg in sys.argv[1:] if arg != "--debug")]
    _set_up_libraries(debug)
    interrupts.listen()
    try:
        _run_command()
        code = 0
    except (KeyboardInterrupt, Terminated, click.Abort) as error:
        code = _tell_interruption(type(error))
    except Exception as error:
        interruption = interrupts.asked()  # which a library may have turned into something else
        code = _tell_interruption(interruption) if interruption else _tell_error(error, debug)
    sys.exit(code)


def _tell_error(error: Exception, debug: bool) -> int:
    """Print an error's line; return its exit code."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.ClickException):
        return _tell(_usage(error), EXIT_USAGE, debug)
    if isinstance(error, RetrainError):
        tell_of_links([str(error)])
        return _tell(f"{error}{_option_for(error.setting)}", error.exit_code, debug)
    if isinstance(error, BrokenPipeError):  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    bug = f"A bug, please report it: {type(error).__name__}: {error} (--debug shows more)"
    return _tell(bug, EXIT_BUG, debug)


def _option_for(setting: str) -> str:
    """Name the option that is a setting on this command line, as a sentence; "" without one."""
    named = next((word for word in sys.argv[1:] if word in app.commands), "")
    flag = f"--{setting.replace('_', '-')}"
    options = app.commands[named].params if setting and named else ()
    return f" See {flag}." if any(flag in option.opts for option in options) else ""


def _run_command() -> None:
    """Do what `app()` does, but let every exception through: it makes codes of its own of some."""
    with app.make_context("retrain", sys.argv[1:]) as context:
        app.invoke(context)


def _usage(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "retrain"
    message = error.format_message()
    return f"{message}{'' if message.endswith(('.', '?')) else '.'} See {command} --help"


def _tell(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"retrain: {' '.join(message.split())}", file=sys.stderr)
    return code


def _tell_interruption(kind: type[BaseException]) -> int:
    if kind is Terminated:
        return _tell("Terminated. What was finished is kept.", EXIT_TERMINATED, False)
    return _tell("Interrupted. What was finished is kept.", EXIT_INTERRUPTED, False)


def _set_up_libraries(debug: bool) -> None:
    for stream in (sys.stdout, sys.stderr):  # a file name may hold what the terminal cannot show
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    # TensorFlow leaves oneDNN off on CPUs without VNNI, where a step takes 1.3 times as long so.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if debug:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # what its Python code warns of
    warnings.filterwarnings("ignore", module="PIL")
    warnings.filterwarnings("ignore", module="matplotlib")  # a name that its font cannot show
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
