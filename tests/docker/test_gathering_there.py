"""Pictures are gathered in the container: only a download has a network."""

import shutil
import signal
from pathlib import Path

from containers import Project, container, inspect, state
from films import write_scenes
from pictures import write_jpegs


def test_folders_archives_and_films_become_pictures_and_variations(
    project: Project, tmp_path: Path
) -> None:
    write_jpegs(tmp_path / "photos", "disc", 3)
    shutil.make_archive(str(tmp_path / "photos"), "zip", tmp_path / "photos")
    film = write_scenes(tmp_path / "films" / "a film.mp4", [1, 2], seconds=1)
    before = state(tmp_path / "photos"), state(tmp_path / "films")
    for line in (
        ("import", "new/tf files", "photos.zip"),
        ("frames", "new/tf files", film, "--category", "boat", "--scenes"),
        ("vary", "new/tf files", "--category", "boat", "--only", "grey"),
        ("show-data", "new/tf files", "--write-labels", "new/labels.csv"),
    ):
        result = project.run("retrain.sh", *line, cwd=tmp_path)
        assert result.returncode == 0, f"{line}: {result.stderr}"
    assert "import 3" in result.stdout
    assert "frames 2" in result.stdout
    data = tmp_path / "new" / "tf files" / "data"
    assert len(list(data.glob("disc/*.jpg"))) == 3
    assert len(list(data.glob("boat/*.jpg"))) == 4
    assert len((tmp_path / "new" / "labels.csv").read_text().splitlines()) == 8
    assert (state(tmp_path / "photos"), state(tmp_path / "films")) == before


def test_a_download_has_a_network(project: Project, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("http://10.255.255.1/nobody-answers.jpg\n")
    root = tmp_path / "tf_files"
    root.mkdir()
    line = ("download", root, tmp_path / "list.txt", "--category", "disc", "--allow-private")
    with project.started("retrain.sh", *line) as process:
        found = inspect(container(root, process))
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert found["HostConfig"]["NetworkMode"] != "none"
    shown = {mount["Destination"]: mount["RW"] for mount in found["Mounts"]}
    assert shown[str(root)] is True
    assert shown[str(tmp_path / "list.txt")] is False
