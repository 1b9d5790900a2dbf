"""Options that would do nothing beside others are named, or refused."""

from pathlib import Path

import pytest

import retrain as api
from commands import refused, retrain
from retrain.cli.train import tell_idle
from retrain.errors import UsageError
from retrain.progress import Silent


class Heard(Silent):
    """A Reporter that remembers."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--epochs 3 --groups 2", "--epochs and --groups do nothing"),
        ("--no-flip", "--no-flip does nothing"),
        (
            "--lr 1e-3 --batch 8 --augment strong --profile",
            "--lr, --batch, --augment and --profile do nothing",
        ),
        ("--seed 3 --size 64", None),
    ],
)
def test_what_is_about_fine_tuning_is_named_where_there_is_none(
    options: str, told: str | None, tmp_path: Path
) -> None:
    result = retrain("train", tmp_path, "--fine-tune", "never", *options.split())
    refused(result, 3)  # there are no pictures
    said = [line for line in result.stderr.splitlines() if "--fine-tune never" in line]
    assert said == ([f"{told} with --fine-tune never."] if told else [])


def test_where_fine_tuning_is_possible_nothing_is_said() -> None:
    heard = Heard()
    tell_idle({"epochs": 3, "augment": "strong"}, heard)
    tell_idle({"epochs": 3, "fine_tune": "auto"}, heard)
    assert heard.said == []


def test_a_preference_among_nothing_is_refused(tmp_path: Path) -> None:
    message = refused(retrain("train", tmp_path, "--prefer", "fast"), 2)
    assert message == (
        "retrain: --prefer chooses among the backbones of --compare. Received: no --compare."
    )
    with pytest.raises(UsageError, match="no --compare"):
        api.train(tmp_path, prefer="small", progress=False)
