"""What a training says of its pictures before it learns from them."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from retrain.data.corrections import CORRECTIONS, Corrected, Corrections
from retrain.data.records import SIDES, Picture
from retrain.data.split import group_pattern
from retrain.progress import Reporter, counted

if TYPE_CHECKING:
    from retrain.jobs.training_data import TrainingData

MOST_NAMED = 10  # pairs of pictures in two categories
MOST_LINES = 3  # of a table that are named
MANY_LOST = 0.1  # of the training pictures
FEW_PICTURES = 20  # a category; retrain.py warned below it too


def report_related(data: "TrainingData", report: Reporter) -> None:
    """Say how many pictures belong together, and what speaks against it."""
    present = {picture.sha256: picture.name for picture in data.pictures}
    here = [r for r in data.relations if not r.refused and set(r.pair) <= present.keys()]
    kinds = Counter("series" if relation.kind == "series" else "copies" for relation in here)
    if here:
        sizes = Counter(data.groups)
        together = sum(size for size in sizes.values() if size > 1)
        pairs = " and ".join(
            f"{counted(count, 'pair')} of {'a series' if kind == 'series' else kind}"
            for kind, count in sorted(kinds.items())
        )
        report.say(
            f"Related pictures: {pairs} were found (related.csv names them); "
            f"{counted(together, 'picture')} stay together in "
            f"{counted(sum(size > 1 for size in sizes.values()), 'group')}."
        )
    for relation in data.joined.across[:MOST_NAMED]:
        if set(relation.pair) <= present.keys():
            one, other = (present[content] for content in relation.pair)
            report.warn(f"The same picture in two categories ({relation.kind}): {one} and {other}.")
    reasons = Counter(apart.reason for apart in data.joined.apart)
    if reasons["half a category"]:
        report.warn(
            f"{counted(reasons['half a category'], 'pair')} of a series would join more than half "
            "a category and were not joined: pictures of that category look alike throughout. If "
            "they are one series, add pictures of another."
        )
    if reasons["nothing to learn from"]:
        report.warn(
            f"{counted(reasons['nothing to learn from'], 'pair')} of a series would have left a "
            "category without training pictures and were not joined: some of them are for the test."
        )


def report_moved(before: "TrainingData", after: "TrainingData", report: Reporter) -> None:
    """Say how many pictures are on each side now, and what can be done where many left training.

    Args:
        before: split without what was found just now.
        after: split with it.
        report: hears it.
    """
    if after.side_counts() == before.side_counts():
        return
    report.say("Pictures that belong together changed sides:")
    report_counts(after, report)
    lost = len(before.learned_from) - len(after.learned_from)
    if lost > MANY_LOST * len(before.learned_from):
        drawn = " --hold-out 0 learns from all pictures;" if after.gathered.drawable else ""
        report.warn(
            f"{counted(lost, 'picture')} left training, because they belong together with pictures "
            f"that are held back.{drawn} --no-relate keeps them in training, but then what is held "
            "back flatters the model."
        )


def report_groups(pictures: Sequence[Picture], expression: str, report: Reporter) -> None:
    """Say how many pictures an expression on paths puts into groups, and how many stay alone."""
    search = group_pattern(expression).search
    sizes = Counter(picture.key for picture in pictures)
    found = [p.key for p in pictures if sizes[p.key] > 1 and search(p.name)]
    alone = sum(size == 1 for size in sizes.values())
    verb = "stands" if alone == 1 else "stand"
    report.say(
        f"--group-by puts {counted(len(found), 'picture')} into "
        f"{counted(len(set(found)), 'group')}; {counted(alone, 'picture')} {verb} alone."
    )


def report_corrections(corrected: Corrected, corrections: Corrections, report: Reporter) -> None:
    """Say what people corrected, and where that makes a category that no folder has."""
    if words := corrected.in_words():
        report.say(words)
    for wrong in corrections.unreadable[:MOST_LINES]:
        report.warn(f"{wrong} The line is left out.")
    if further := len(corrections.unreadable[MOST_LINES:]):
        verb = "is" if further == 1 else "are"
        report.warn(
            f"{counted(further, 'further line')} of {CORRECTIONS} cannot be read and {verb} left "
            "out."
        )
    moved = {picture.name for picture in corrected.moved}
    own = {picture.category for picture in corrected.pictures if picture.name not in moved}
    for category in sorted({picture.category for picture in corrected.pictures} - own):
        report.warn(
            f"Category {category!r} has no pictures but those that {CORRECTIONS} puts there; "
            "perhaps its folder was renamed."
        )


def report_twins(pictures: Sequence[Picture], report: Reporter) -> None:
    """Warn of identical files that contradict each other or escape their group."""
    first: dict[str, Picture] = {}
    for picture in pictures:
        twin = first.setdefault(picture.sha256, picture)
        if twin.category != picture.category:
            report.warn(f"The same picture in two categories: {twin.name} and {picture.name}.")
        elif twin.key != picture.key:
            report.warn(f"The same picture in two groups: {twin.name} and {picture.name}.")


def report_counts(data: "TrainingData", report: Reporter) -> None:
    """Say how many pictures of each category are on each side, and where there are few."""
    counts = data.side_counts()
    report.say(
        f"{counted(len(data.pictures), 'picture')} in "
        f"{counted(len(data.categories), 'category', 'categories')}, "
        f"{counted(len(data.skipped), 'file')} skipped."
    )
    filled = [side for side in SIDES if side in data.sides.values()]
    row = report.table(("category", *filled))
    for category in data.categories:
        row([category, *(str(counts[category, side]) for side in filled)])
    if data.gathered.varied:
        idle = len(data.gathered.varied) - len(data.varied)
        rest = f"; {idle} of pictures that are held back are left out" if idle else ""
        report.say(f"{counted(len(data.varied), 'variation')} of them that only teach{rest}.")
    for category in data.categories:
        total = sum(counts[category, side] for side in SIDES)
        if total < FEW_PICTURES:
            report.warn(
                f"Category {category!r} has {counted(total, 'picture')}; with fewer than "
                f"{FEW_PICTURES} a model is rarely reliable."
            )
