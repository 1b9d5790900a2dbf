"""guess-dir on a cluster: what one machine does, whoever leaves or comes meanwhile."""

import filecmp
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clusters import SECRET, Nodes, on_nodes, ray_nodes, without
from commands import PATIENCE, ROOT, command, environment, refused, retrain
from pictures import CATEGORIES, write_jpegs
from sorting import NEW

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of many pictures, and of two files that are none, in folders."""
    folder = tmp_path_factory.mktemp("many") / "photos é"
    for category in CATEGORIES:
        write_jpegs(folder, category, 80, start=NEW)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    (folder / "empty.jpg").touch()
    return folder


@pytest.fixture(scope="module")
def alone(trained: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one machine makes of them."""
    dest = tmp_path_factory.mktemp("alone") / "sorted"
    assert retrain("guess-dir", trained, pictures, dest, "-r").returncode == 6
    return dest


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    with ray_nodes() as started:
        yield started


def assert_same(dest: Path, alone: Path) -> None:
    names = {path.name for path in alone.iterdir()}
    assert {path.name for path in dest.iterdir()} == names
    assert filecmp.cmpfiles(dest, alone, names, shallow=False)[1:] == ([], [])


def test_a_cluster_of_this_machine_makes_the_same(
    trained: Path, pictures: Path, alone: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    line = ("guess-dir", trained, pictures, tmp_path / "sorted", "-r", "--cluster", "local")
    result = retrain(*line, HOME=str(home))
    assert result.returncode == 6, result.stderr
    assert_same(tmp_path / "sorted", alone)
    assert not list(home.iterdir())  # Ray would put a token there
    again = retrain(*line)
    assert again.returncode == 6
    assert "240 pictures were sorted before" in again.stderr


def sort_while(
    trained: Path,
    pictures: Path,
    dest: Path,
    nodes: Nodes,
    happens: Callable[[subprocess.Popen[str]], None],
) -> tuple[int, str]:
    """Sort, stop for something once some copies are there, and return how it ended."""
    line = command("guess-dir", trained, pictures, dest, "-r", "--cluster", nodes.address)
    with subprocess.Popen(
        line, env=environment(**SECRET), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + PATIENCE
        try:
            while not dest.is_dir() or len(list(dest.glob("*.jpg"))) < 20:
                assert process.poll() is None, "done too soon"
                assert time.monotonic() < deadline
                time.sleep(0.01)
            process.send_signal(signal.SIGSTOP)  # so that nothing is over too soon
            happens(process)
            told, said = process.communicate(timeout=PATIENCE)
            assert "raylet" not in told  # what Ray would say there
        finally:
            process.kill()
    return process.returncode, said


def test_workers_and_nodes_that_die_cost_nothing_and_one_that_comes_is_used(
    trained: Path, pictures: Path, alone: Path, tmp_path: Path, nodes: Nodes
) -> None:
    first, second = nodes.add(), nodes.add()

    def happens(driver: subprocess.Popen[str]) -> None:
        os.kill(nodes.worker(first), signal.SIGKILL)
        nodes.kill(second)
        nodes.add()
        driver.send_signal(signal.SIGCONT)

    code, said = sort_while(trained, pictures, tmp_path / "sorted", nodes, happens)
    assert code == 6, said
    assert "died; what it had is given to others" in said  # once, or for both
    assert_same(tmp_path / "sorted", alone)


def test_a_killed_driver_goes_on_where_it_was_and_a_second_one_is_refused(
    trained: Path, pictures: Path, alone: Path, tmp_path: Path, nodes: Nodes
) -> None:
    nodes.add()
    dest = tmp_path / "sorted"
    line = ("guess-dir", trained, pictures, dest, "-r", "--cluster", nodes.address)

    def happens(process: subprocess.Popen[str]) -> None:
        assert "Another guess-dir sorts into" in refused(on_nodes(*line), 8)
        process.kill()

    assert sort_while(trained, pictures, dest, nodes, happens)[0] == -signal.SIGKILL
    result = on_nodes(*line)
    assert result.returncode == 6, result.stderr
    assert "sorted before" in result.stderr
    assert_same(dest, alone)


def test_a_worker_that_does_not_see_the_folder_is_sent_the_pictures(
    trained: Path, pictures: Path, alone: Path, tmp_path: Path, nodes: Nodes
) -> None:
    nodes.add(*without(pictures))
    nodes.add(*without(trained))
    line = ("guess-dir", trained, pictures, tmp_path / "sorted", "-r", "--cluster", nodes.address)
    result = on_nodes(*line)
    assert result.returncode == 6, result.stderr
    assert_same(tmp_path / "sorted", alone)


def test_a_node_with_another_version_is_named(
    trained: Path, pictures: Path, tmp_path: Path, nodes: Nodes
) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src")
    version = tmp_path / "src" / "retrain" / "version.py"
    version.write_text(version.read_text().replace('VERSION = "', 'VERSION = "9'))
    nodes.add(PYTHONPATH=str(tmp_path / "src"))
    line = ("guess-dir", trained, pictures, tmp_path / "sorted", "--cluster", nodes.address)
    message = refused(on_nodes(*line), 8)
    assert "has retrain 9" in message
