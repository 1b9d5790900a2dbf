"""What a server says, as it starts, of who can use it."""

from pathlib import Path

import pytest

from serving import Server, started


@pytest.mark.parametrize(
    ("token", "engine", "said"),
    [
        (
            *("", "docker 27"),
            "from other machines at 0.0.0.0, unencrypted and without a token: anyone there can use "
            "it. Set RETRAIN_TOKEN, or leave out --host.",
        ),
        (
            *("s3cret", "docker 27"),
            "from other machines at 0.0.0.0, unencrypted: who listens in on the way learns the "
            "token. See TLS in docs/serve.md.",
        ),
        (
            *("", "an unnamed engine"),
            "where its container's port is published, unencrypted and without a token: anyone "
            "there can use it. Set RETRAIN_TOKEN, or publish the port on 127.0.0.1 alone.",
        ),
    ],
)
def test_a_server_that_others_can_reach_says_so(
    trained: Path, token: str, engine: str, said: str
) -> None:
    changes = {"RETRAIN_TOKEN": token, "RETRAIN_ENGINE": engine}
    with started(trained, "--host", "0.0.0.0", "--no-corrections", **changes) as server:
        server.wait_for("ready")
        assert server.lines[0] == f"The server can be reached {said}\n"


def test_a_token_is_told_of_when_the_server_starts(trained: Path, server: Server) -> None:
    with started(trained, RETRAIN_TOKEN="s3cret") as guarded:
        assert guarded.process.stdout is not None
        assert guarded.process.stdout.readline() == (
            "Requests need the token in RETRAIN_TOKEN, as `Authorization: Bearer TOKEN`; people "
            f"open {guarded.address}/?token=TOKEN once.\n"
        )
    server.wait_for("ready")
    assert server.lines[0].startswith("{")  # for this machine alone, no warning
