"""A Ray cluster in a container: of this machine, with nothing written outside DEST."""

from pathlib import Path

from commands import refused
from containers import Project
from pictures import CATEGORIES, write_jpegs
from sorting import NEW, assert_sorted


def test_a_folder_is_sorted_on_a_cluster_of_the_container(
    project: Project, workspace: Path, tmp_path: Path
) -> None:
    source, dest = tmp_path / "photos é", tmp_path / "sorted"
    pictures = [path for c in CATEGORIES for path in write_jpegs(source, c, 8, start=NEW)]
    for path in pictures:
        path.rename(source / path.name)
    for category in CATEGORIES:
        (source / category).rmdir()
    result = project.run("guessDir.sh", workspace, source, dest, "--cluster", "local")
    assert result.returncode == 0, result.stderr
    assert_sorted(dest, *(source / path.name for path in pictures))


def test_other_clusters_are_refused_before_anything_is_built(
    project: Project, workspace: Path, tmp_path: Path
) -> None:
    line = ("retrain.sh", "cluster", "doctor", "192.0.2.1:6379")
    assert "In a container a cluster must be local" in refused(project.run(*line), 2)
