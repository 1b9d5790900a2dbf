"""robots.txt is read as RFC 9309 has it."""

import pytest

from retrain.gather.robots import parse

EXAMPLE = """\
User-Agent: *
Disallow: *.gif$
Disallow: /example/
Allow: /publications/

User-Agent: foobot
Disallow:/
Allow:/example/page.html
Allow:/example/allowed.gif

User-Agent: barbot
User-Agent: bazbot
Disallow: /example/page.html
"""


@pytest.mark.parametrize(
    ("agent", "path", "allowed"),
    [
        ("retrain", "/a.gif", False),
        ("retrain", "/a.gif?x", True),
        ("retrain", "/example/a.jpg", False),
        ("retrain", "/publications/a.jpg", True),
        ("foobot", "/a", False),
        ("foobot", "/example/allowed.gif", True),
        ("bazbot", "/example/page.html", False),
        ("bazbot", "/a.gif", True),
    ],
)
def test_the_longest_rule_of_the_own_group_decides(agent: str, path: str, allowed: bool) -> None:
    assert parse(EXAMPLE, agent).allow(path) is allowed


def test_of_two_equal_rules_allow_wins_and_spellings_are_one() -> None:
    rules = parse("user-agent: *\ndisallow: /p\nallow: /p\nDisallow: /%C3%A9\n")
    assert rules.allow("/p")
    assert not rules.allow("/é")
    assert not rules.allow("/%c3%a9/1.jpg")


@pytest.mark.parametrize("text", ["", "Disallow: /\n", "<html>", "User-agent: *\nDisallow:\n"])
def test_what_forbids_nothing_allows_all(text: str) -> None:
    assert parse(text).allow("/a")


def test_groups_of_one_name_are_one() -> None:
    rules = parse("User-agent: retrain\nDisallow: /a\nUser-agent: retrain\nDisallow: /b\n")
    assert not rules.allow("/a")
    assert not rules.allow("/b")
