"""What a person should do next, told from what a model got wrong."""

from collections.abc import Mapping, Sequence

from retrain.evaluate.findings import Finding
from retrain.evaluate.verdicts import Verdict, most_confused, told_by
from retrain.metrics import wilson_interval
from retrain.progress import counted

FEW_TO_LEARN = 20  # fewer training pictures of a category are too few
RARE = 10  # a category is rare if another one has this many times its pictures
WIDE = 0.15  # an interval of the accuracy wider than that leaves much open
SURE = 0.9  # the score from which a guess counts as sure
SHOWN = 3  # most names in a sentence
MATTER = 10  # pictures whose correction matters most


def advice(
    found: Sequence[Verdict],
    training: Mapping[str, int],
    judged_by: str | None = None,
    interval: tuple[float, float] | None = None,
) -> list[str]:
    """Return what to do next, a sentence each, the most useful first.

    Files to be checked are named wherever they are; what is counted is what `interval` was made of.

    Args:
        found: the verdicts on held-back pictures, the greatest loss first.
        training: the number of training pictures, by category.
        judged_by: the figure of metrics.json that is published; None for all pictures.
        interval: 95 % of its accuracy; None to take it from the verdicts.
    """
    counted_on = told_by(found, judged_by)
    sentences = []
    sure = [v for v in found if not v.right and v.score >= SURE]
    if sure:
        names = ", ".join(v.name for v in sure[:SHOWN])
        more = f" and {len(sure) - SHOWN} more" if len(sure) > SHOWN else ""
        sentences.append(
            f"The model is sure but wrong about {counted(len(sure), 'picture')}: check whether "
            f"{'they lie' if len(sure) > 1 else 'it lies'} in the right folder ({names}{more})."
        )
    pair = most_confused(counted_on)
    if pair:
        category, guess, count = pair
        total = sum(v.category == category for v in counted_on)
        sentences.append(
            f"{category!r} is taken for {guess!r} most often ({count} of {total} pictures): add "
            "pictures of both that show what tells them apart."
        )
    wanted = max(FEW_TO_LEARN, max(training.values(), default=0) // RARE)
    few = sorted((count, name) for name, count in training.items() if count < wanted)
    if few:
        names = ", ".join(f"{name!r} ({count})" for count, name in few[:SHOWN])
        more = f" and {len(few) - SHOWN} more" if len(few) > SHOWN else ""
        sentences.append(
            f"There are few training pictures of {names}{more}: add some, until there are at least "
            f"{wanted} of each."
        )
    if counted_on:
        right = sum(verdict.right for verdict in counted_on)
        low, high = interval or wilson_interval(right, len(counted_on))
        if high - low > WIDE:
            sentences.append(
                f"{counted(len(counted_on), 'picture')} cannot tell much: the accuracy on new ones "
                f"may be anywhere from {low:.2f} to {high:.2f}. Add pictures to know it better."
            )
    if found and not sentences:
        sentences.append(
            "Nothing stands out. Try the model on pictures from another camera, place or season."
        )
    return sentences


def worth_correcting(findings: Sequence[Finding]) -> list[str]:
    """Name the pictures whose correction matters most, and shortcuts; a sentence each.

    Args:
        findings: the worst first.
    """
    sentences = [one.why for one in findings if one.kind == "shortcut"]
    doubted = [f for f in findings if f.kind in ("label", "copy", "unusual") and f.pictures]
    names = list(dict.fromkeys(one.pictures[0] for one in doubted))[:MATTER]
    if len(names) == 1:
        sentences.append(
            f"One picture should be looked at: {names[0]}. `retrain clean TF_FILES` shows it in "
            "the browser, where it can be corrected."
        )
    elif names:
        sentences.append(
            f"These {len(names)} pictures matter most, if they are wrong: {', '.join(names)}. "
            "`retrain clean TF_FILES` shows them in the browser, where they can be corrected."
        )
    return sentences
