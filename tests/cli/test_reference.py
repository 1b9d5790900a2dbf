"""The reference of the commands says what their help says."""

import subprocess
import sys

from commands import ROOT, environment
from retrain import errors
from retrain.cli.reference import EXIT_CODES, reference

WRITTEN = ROOT / "docs" / "commands.md"
HOW = "python -m retrain.cli.reference >docs/commands.md"


def test_the_written_reference_is_that_of_the_commands() -> None:
    assert WRITTEN.read_text(encoding="utf-8") == reference(), HOW


def test_the_reference_does_not_depend_on_the_terminal() -> None:
    narrow = subprocess.run(
        [sys.executable, "-m", "retrain.cli.reference"],
        capture_output=True,
        text=True,
        env=environment(COLUMNS="40"),
        check=True,
    )
    assert narrow.stdout == reference()


def test_every_exit_code_of_an_error_is_explained() -> None:
    found = {str(kind.exit_code) for kind in errors.RetrainError.__subclasses__()}
    assert found
    assert found <= set(EXIT_CODES)
