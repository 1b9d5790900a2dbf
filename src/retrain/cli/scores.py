"""How commands tell how good a model is, and where it is wrong."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from retrain.cli.container import tell_of_links

if TYPE_CHECKING:
    from retrain.data.records import Skipped
    from retrain.evaluate.verdicts import Verdict
    from retrain.metrics import Evaluation


WORST = 5  # pictures named
NOTHING = "\N{EN DASH}"  # where there is no number
JUDGED_BY = {
    "cross_fitted": "the head, cross-validated",
    "fine_tuned": "fine-tuned models, on pictures that they had not learned from",
    "one_fold": "the fine-tuned model, on the fold that judged it",
    "validation": "your validation pictures",
    "test": "test pictures",
}


def accuracy(scores: "Evaluation") -> str:
    """Write accuracy with its interval, the number of pictures, and macro-F1."""
    from retrain.progress import counted

    low, high = scores.interval
    return (
        f"accuracy {scores.accuracy:.3f} (95 % interval {low:.3f} to {high:.3f}, "
        f"{counted(scores.pictures, 'picture')}), macro-F1 {scores.macro_f1:.3f}"
    )


def print_categories(scores: "Evaluation") -> None:
    """Print precision and recall of each category, and what its pictures were taken for."""
    names = [score.category for score in scores.categories]
    width = max(len("true category"), *map(len, names)) + 2
    click.echo(f"  {'true category':<{width}}precision  recall      F1  guessed as")
    for score, row in zip(scores.categories, scores.confusion, strict=True):
        if score.support == 0:
            nothing = f"{NOTHING:>9}{NOTHING:>8}{NOTHING:>8}"
            click.echo(f"  {score.category:<{width}}{nothing}  no picture to judge by")
            continue
        guessed = ", ".join(
            f"{name} {count}" for name, count in zip(names, row, strict=True) if count
        )
        click.echo(
            f"  {score.category:<{width}}{score.precision:9.3f}{score.recall:8.3f}"
            f"{score.f1:8.3f}  {guessed}"
        )


def print_verdicts(found: Sequence["Verdict"]) -> None:
    """Print pictures with what the model took them for."""
    for verdict in found:
        loss = f"loss {verdict.loss:.2f}"
        if verdict.right:
            click.echo(f"  {verdict.name}: {verdict.guess} {verdict.score:.3f}, right; {loss}")
        else:
            truth = f"{verdict.category} {verdict.true_score:.3f}"
            click.echo(
                f"  {verdict.name}: {verdict.guess} {verdict.score:.3f}, but it is {truth}; {loss}"
            )


def tell_skipped(skipped: Sequence["Skipped"]) -> None:
    """Name what was left out, on stderr."""
    from retrain.progress import one_line

    for bad in skipped:
        click.echo(one_line(f"retrain: {bad.name}: {bad.reason}"), err=True)
    tell_of_links(bad.reason for bad in skipped)
