"""`retrain doctor` in the container."""

import json
from pathlib import Path

from containers import Project, docker


def test_the_main_job_works_in_the_container(project: Project, workspace: Path) -> None:
    result = project.run("retrain.sh", "doctor", workspace, "--json")
    assert result.returncode == 0, result.stdout + result.stderr
    report = json.loads(result.stdout)
    assert report["works"] is True
    found = {finding["name"]: finding["text"] for finding in report["findings"]}
    version = docker("version", "--format", "{{.Server.Version}}").stdout.strip()
    assert found["runs in"] == f"a container of docker {version}"
    assert found["workspace"].startswith(f"{workspace} is writable")
    assert found["weights cache"].startswith(f"{project.keras_home / 'models'} is writable")
    assert found["GPUs"] == "left alone, as RETRAIN_GPUS=none wants it"
