"""The cluster for KubeRay: its fields are those of a RayCluster, and its image is the project's."""

import re
from typing import Any

import pytest
import yaml

from commands import ROOT

GROUP = {"rayStartParams", "template"}
WORKERS = GROUP | {"groupName", "replicas", "minReplicas", "maxReplicas"}


@pytest.fixture(scope="module")
def objects() -> dict[str, Any]:
    text = (ROOT / "docker" / "ray-cluster.yaml").read_text()
    return {one["kind"]: one for one in yaml.safe_load_all(text)}


def test_the_fields_are_those_that_kuberay_knows(objects: dict[str, Any]) -> None:
    cluster = objects["RayCluster"]
    assert cluster["apiVersion"] == "ray.io/v1"
    assert cluster["spec"].keys() == {"rayVersion", "headGroupSpec", "workerGroupSpecs"}
    assert cluster["spec"]["headGroupSpec"].keys() == GROUP
    for group in cluster["spec"]["workerGroupSpecs"]:
        assert group.keys() == WORKERS
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for group in groups(cluster):  # KubeRay wants strings
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())


def test_its_pods_hold_together(objects: dict[str, Any]) -> None:
    claim = objects["PersistentVolumeClaim"]["metadata"]["name"]
    for group in groups(objects["RayCluster"]):
        pod = group["template"]["spec"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        assert volumes["work"]["persistentVolumeClaim"]["claimName"] == claim
        (container,) = pod["containers"]
        assert container["image"] == "retrain:cluster"
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes.keys()


def test_it_names_the_ray_that_the_image_holds(objects: dict[str, Any]) -> None:
    locked = (ROOT / "requirements" / "cluster.txt").read_text()
    found = re.search(r"^ray==(\S+)", locked, re.MULTILINE)
    assert found
    assert objects["RayCluster"]["spec"]["rayVersion"] == found[1]


def groups(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    spec = cluster["spec"]
    return [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
