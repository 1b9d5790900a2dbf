"""What robots.txt asks of programs that fetch without a person watching (RFC 9309)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, unquote

AGENT = "retrain"  # as robots.txt may name this tool
MOST_BYTES = 500 << 10  # that must be looked at, RFC 9309 section 2.5


@dataclass(frozen=True)
class Rules:
    """What a server allows this tool. rules: (pattern of paths, whether they are allowed)."""

    rules: tuple[tuple[str, bool], ...] = ()

    def allow(self, path: str) -> bool:
        r"""Tell whether a path with its query may be fetched: the longest pattern decides.

        >>> rules = parse("User-agent: *\nDisallow: /private/\nAllow: /private/*.jpg$")
        >>> rules.allow("/private/a.html"), rules.allow("/private/a.jpg"), rules.allow("/")
        (False, True, True)
        """
        path = _normal(path)
        found = [(len(p), allowed) for p, allowed in self.rules if _matcher(p)(path)]
        return max(found, default=(0, True))[1]


ALL = Rules()


def parse(text: str, agent: str = AGENT) -> Rules:
    """Return the rules for one program, else those for all.

    Args:
        text: of a robots.txt.
        agent: the program's name.
    """
    groups: dict[str, list[tuple[str, bool]]] = {}
    named: list[str] = []
    ended = True
    for line in text.splitlines():
        name, _, value = line.split("#")[0].partition(":")
        name, value = name.strip().lower(), value.strip()
        if name == "user-agent":
            if ended:
                named, ended = [], False
            named.append(value.lower())
            groups.setdefault(value.lower(), [])
        elif name in ("allow", "disallow"):
            ended = True
            if value:
                for one in named:
                    groups[one].append((_normal(value), name == "allow"))
    return Rules(tuple(groups.get(agent.lower(), groups.get("*", []))))


def _normal(path: str) -> str:
    """Return a path with one spelling for each character."""
    return quote(unquote(path), safe="/*$?=&;,:@!~'()+%")


def _matcher(pattern: str) -> Callable[[str], object]:
    ended = pattern.endswith("$")
    parts = pattern.removesuffix("$").split("*")
    expression = ".*".join(map(re.escape, parts))
    return re.compile(expression + ("$" if ended else ""), re.DOTALL).match
