"""The command that opens the page: what "train again" would run, and where it listens."""

import json
import shlex
from pathlib import Path

import pytest

from albums import workspace
from commands import refused, retrain
from retrain.cli.clean import PORT, free_port, training_arguments
from retrain.web import server as web
from retrain.workspace import Workspace


def trained_by(root: Path, line: str) -> Workspace:
    """Return a workspace whose model says that a command line made it."""
    run = root / "runs" / "20260101T000000Z-efficientnet_lite0"
    run.mkdir(parents=True)
    manifest = dict.fromkeys(
        ("run", "backbone", "backbone_reason", "weights", "fit", "scaling", "kept"), "x"
    )
    values = {
        **manifest,
        **{name: {} for name in ("metrics", "checks", "versions")},
        **{"labels": ["a", "b"], "weights_sha256": None, "size": 64, "seed": 0},
        **{"data_fingerprint": "", "precision": "float32", "format_version": 1, "command": line},
    }
    (run / "manifest.json").write_text(json.dumps(values))
    (root / "model").symlink_to(f"runs/{run.name}")
    return Workspace(root)


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("", ""),
        ("retrain train tf_files", ""),
        ("retrain train old --size 96 --no-flip", "--size 96 --no-flip"),
        ("retrain train --size 96 old --fresh --json", "--size 96"),
        ("retrain train -- old", ""),
        ("retrain train old --with-corrections --no-int8", "--no-int8"),
        ("retrain train 96 --size 96", "--size 96"),
        ("retrain train 'a b' --group-by 'film\\d+'", "--group-by 'film\\d+'"),
        ("retrain train old --prefer fast --size 96", "--size 96"),
        ("retrain train old --size 96 --prefer=fast", "--size 96"),
        ("retrain train old --compare a,b --prefer fast", "--compare a,b --prefer fast"),
        ("retrain train old --an-option-of-later", ""),
        ("rm -rf /", ""),
        ("retrain train 'unbalanced", ""),
    ],
)
def test_training_again_takes_the_options_of_the_last_training(
    tmp_path: Path, line: str, options: str
) -> None:
    place = trained_by(tmp_path, line)
    found = training_arguments(place, tmp_path)
    assert found == ["train", str(tmp_path), *shlex.split(options)]


def test_where_the_usual_port_is_taken_any_other_will_do() -> None:
    assert free_port(web.LOOPBACK, 7) == 7
    try:
        server = web.listening(web.LOOPBACK, PORT)
    except Exception:  # another program has it: as good
        server = None
    assert free_port(web.LOOPBACK, None) == 0
    if server:
        server.close()


def test_a_workspace_without_pictures_is_told(tmp_path: Path) -> None:
    message = refused(retrain("clean", tmp_path, "--no-browser"), 3)
    assert "data" in message


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    root = workspace(tmp_path / "tf").root
    with web.listening(web.LOOPBACK, 0) as server:
        port = str(server.getsockname()[1])
        message = refused(retrain("clean", root, "--no-browser", "--port", port), 8)
    assert "in use" in message
    assert message.endswith("See --port.")


def test_corrections_that_are_another_table_are_told(tmp_path: Path) -> None:
    root = workspace(tmp_path / "tf").root
    (root / "corrections.csv").write_text("a,b\n1,2\n")
    assert "corrections.csv" in refused(retrain("clean", root, "--no-browser"), 3)
