"""Categories that the paths of pictures tell, by a regular expression with a group for it."""

import re
from collections.abc import Sequence

from retrain.data.records import category_name
from retrain.errors import DataError, UsageError
from retrain.progress import counted

SETTING = "labels_from"
CATEGORY, GROUP = "category", "group"  # the named groups
SHOWN = 5  # paths, where none tells its category


def label_pattern(expression: str) -> re.Pattern[str]:
    """Compile the expression that tells categories by paths.

    Raises:
        UsageError: it is no regular expression, or has no group for the category.
    """
    try:
        pattern = re.compile(expression)
    except re.error as error:
        raise UsageError(
            f"Categories are told by a regular expression. Received: {expression!r} ({error}).",
            setting=SETTING,
        ) from error
    if CATEGORY not in pattern.groupindex:
        raise UsageError(
            "The regular expression must name the part that is the category, such as "
            rf"'(?P<category>\w+)_\d+\.jpg'. Received: {expression!r}.",
            setting=SETTING,
        )
    return pattern


def labelled(
    names: Sequence[str], pattern: re.Pattern[str]
) -> tuple[list[tuple[str, str, str | None]], list[str]]:
    """Return (name, category, group or None) of each name that the expression finds, and notes.

    Args:
        names: paths, "/" between parts.
        pattern: of `label_pattern`; its group `group`, if it has one, tells what belongs together.

    Raises:
        DataError: it finds nothing in any of them.
    """
    found, others = [], []
    for name in names:
        match = pattern.search(name)
        if match and match[CATEGORY]:
            group = match[GROUP] if GROUP in pattern.groupindex else None
            found.append((name, category_name(match[CATEGORY]), group or None))
        else:
            others.append(name)
    if names and not found:
        shown = ", ".join(map(repr, others[:SHOWN]))
        raise DataError(
            f"The regular expression {pattern.pattern!r} finds a category in none of "
            f"{counted(len(names), 'path')}. Received: {shown}.",
            setting=SETTING,
        )
    if not others:
        return found, []
    example = f"{others[0]!r}"
    if len(others) > 1:
        example = f"{counted(len(others), 'file')}, such as {example}"
    return found, [f"The expression for categories finds none in {example}: left out."]
