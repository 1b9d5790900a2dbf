"""`retrain train`: a folder of pictures becomes a published model."""

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retrain.cli import interrupts
from retrain.cli.command import Command
from retrain.cli.options import (
    WORKSPACE,
    Names,
    augment_options,
    cluster_option,
    gpus_option,
    json_option,
    keywords,
    picture_options,
    setting,
    train_config,
    tuning_options,
)
from retrain.cli.scores import JUDGED_BY, WORST, accuracy, print_categories, print_verdicts
from retrain.errors import UsageError

if TYPE_CHECKING:
    from retrain.config import TrainConfig
    from retrain.jobs.train import Trained
    from retrain.progress import Reporter
    from retrain.run import Run


# What does nothing where nothing is fine-tuned, by keyword.
FINE_TUNING = (
    *("epochs", "groups", "tune_folds", "lr", "batch", "precision", "find_lr", "augment"),
    *("crop", "flip", "rotate", "zoom", "warp", "light", "erase", "mix", "profile"),
)


@dataclass(frozen=True)
class Where:
    """On what a training runs.

    cluster: HOST:PORT or "local"; None for this machine alone. gpus: of this machine; None for all.
    profile: whether to record where the time of some steps goes.
    """

    cluster: str | None = None
    gpus: int | None = None
    profile: bool = False


@click.command("train", cls=Command, network=True)
@click.argument("tf_files", type=WORKSPACE)
@picture_options
@setting(
    "--compare",
    "backbone__compare",
    "Backbones whose heads are compared on your pictures before the training, which goes on with "
    "the best; those whose weights are not there are left out.",
    Names(),
)
@setting(
    "--prefer",
    "backbone__prefer",
    "Which of the compared backbones is the best; fast, small: among those that are no worse "
    "beyond chance.",
)
@setting(
    "--fine-tune",
    "fine_tune__when",
    "Whether to fine-tune the network; auto: unless nothing can be gained.",
)
@setting(
    "--epochs",
    "fine_tune__epochs",
    "How often fine-tuning shows each picture, at most; as the time allows if not given.",
    click.IntRange(min=1),
)
@setting(
    "--find-lr",
    "fine_tune__find_rate",
    "Let a short sweep choose the learning rate, if it is cheap.",
)
@tuning_options
@augment_options
@setting(
    "--returned",
    "returned",
    "Also learn from TF_FILES/corrections/<category>/, pictures that came back from guesses.",
)
@setting("--int8", "int8", "Also export a model for fast guesses, used if it agrees with float32.")
@setting(
    "--reference",
    "reference",
    "Keep features of some pictures in the model, so that it can tell what is unlike them all.",
)
@setting(
    "--minutes", "minutes", "Time budget on a CPU in minutes; 0 for none.", click.FloatRange(min=0)
)
@click.option(
    "--with-corrections",
    is_flag=True,
    help="Train only if TF_FILES/corrections.csv says something that the published model has not "
    "learned yet, and tell what came of it. Every training reads the corrections.",
)
@click.option("--fresh", is_flag=True, help="Forget interrupted trainings and start over.")
@gpus_option
@cluster_option
@click.option(
    "--profile", is_flag=True, help="Record in the run's logs where the time of some steps goes."
)
@json_option
def command(
    tf_files: Path,
    with_corrections: bool,
    fresh: bool,
    gpus: int | None,
    cluster: str | None,
    profile: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Train on TF_FILES/data/<category>/ and publish the model as TF_FILES/model.

    Example: retrain train tf_files --backbone efficientnet_lite2
    """
    from retrain.cli.console import Terminal
    from retrain.jobs.retraining import effect, pending_corrections

    news = Terminal()
    tell_idle(_given(click.get_current_context()), news)
    pending = pending_corrections(tf_files) if with_corrections else None
    if pending is not None:
        if not pending:
            _print_nothing_to_do(pending.run, as_json)
            return
        news.say(pending.in_words())
    line = shlex.join(["retrain", *sys.argv[1:]])
    result = train_on(
        tf_files, train_config(settings), news, fresh, line, Where(cluster, gpus, profile)
    )
    came_of_it = effect(pending.run, result.run) if pending else None
    if as_json:
        values = {
            **asdict(result.run.manifest),
            "run": str(result.run.folder),
            "seconds": result.seconds,
        }
        if came_of_it:
            values["corrections"] = came_of_it.as_dict()
        click.echo(json.dumps(values, indent=2, ensure_ascii=False))
    else:
        _print_summary(tf_files, result)
        if came_of_it:
            click.echo(came_of_it.in_words())
    if result.interruption:
        raise result.interruption
    interrupts.check()


def _given(context: click.Context) -> dict[str, Any]:
    """Return the values of the options that the command line has, by keyword."""
    names = {keyword: str(option.name) for keyword, option in keywords(context.command).items()}
    default = click.core.ParameterSource.DEFAULT
    return {
        keyword: context.params[name]
        for keyword, name in names.items()
        if context.get_parameter_source(name) is not default
    }


def tell_idle(given: Mapping[str, Any], report: "Reporter") -> None:
    """Refuse or name settings that would do nothing beside the others.

    Args:
        given: values that the user gave, by keyword.
        report: hears what does nothing.

    Raises:
        UsageError: a choice is to be made among nothing.
    """
    if given.get("prefer") is not None and not given.get("compare"):
        raise UsageError(
            "--prefer chooses among the backbones of --compare. Received: no --compare."
        )
    idle = [_flag(name, given[name]) for name in FINE_TUNING if name in given]
    if idle and given.get("fine_tune") == "never":
        from retrain.progress import listed

        verb = "does" if len(idle) == 1 else "do"
        report.say(f"{listed(idle)} {verb} nothing with --fine-tune never.")


def _flag(keyword: str, value: Any) -> str:
    """Return the flag that a value was given by."""
    return f"--{'no-' if value is False else ''}{keyword.replace('_', '-')}"


def train_on(
    tf_files: Path,
    config: "TrainConfig",
    report: "Reporter",
    fresh: bool,
    line: str,
    where: Where,
) -> "Trained":
    """Train, with the help of a cluster where one is named."""
    from retrain.jobs.machines import Machines
    from retrain.jobs.train import train

    if where.cluster is None:
        alone = Machines(gpus=where.gpus)
        return train(tf_files, config, report, fresh, line, alone, where.profile)
    from retrain.cluster.connect import joined
    from retrain.cluster.machines import machines_of

    with joined(where.cluster) as cluster:
        machines = machines_of(cluster, where.gpus)
        return train(tf_files, config, report, fresh, line, machines, where.profile)


def _print_nothing_to_do(run: "Run", as_json: bool) -> None:
    if as_json:
        values = {**asdict(run.manifest), "run": str(run.folder), "seconds": 0.0}
        click.echo(json.dumps(values, indent=2, ensure_ascii=False))
    else:
        click.echo(f"{run.name} knows all corrections; there is nothing to train.")


def _print_summary(tf_files: Path, result: "Trained") -> None:
    from retrain.progress import duration

    judgement = result.judgement
    for sentence in judgement.sentences:
        click.echo(sentence)
    for name, scores in judgement.evaluations.items():
        click.echo(f"{JUDGED_BY.get(name, name).capitalize()}: {accuracy(scores)}")
    if judgement.main:
        print_categories(judgement.main)
    wrong = [verdict for verdict in judgement.verdicts if not verdict.right]
    if wrong:
        click.echo("Most wrong:")
        print_verdicts(wrong[:WORST])
    for sentence in result.advice:
        click.echo(f"Next: {sentence}")
    # Where the file system has no links, no path leads through `model`.
    places = (tf_files / "model", tf_files / "runs" / result.run.name)
    pages = [place / "report.html" for place in places if (place / "report.html").is_file()]
    if pages:
        click.echo(f"Report: {pages[0]}")
    click.echo(f"Model: {tf_files / 'model'} -> {result.run.name}, {duration(result.seconds)}")
