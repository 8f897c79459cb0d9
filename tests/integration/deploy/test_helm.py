"""The Helm chart: the real helm renders it, and every object is valid for the versions of Kubernetes that it names."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "deploy" / "helm" / "rushes"
HELM = shutil.which("helm") or (str(ROOT / ".tools" / "helm") if (ROOT / ".tools" / "helm").exists() else None)
VERSIONS = ("1.29.2", "1.33.0", "1.37.0")

needs_helm = pytest.mark.skipif(HELM is None, reason="helm is not installed: `make helm` fetches it")

LEAST: dict[str, Any] = {
    "publicUrl": "https://video.example.com",
    "database": {"existingSecret": "rushes-database"},
    "secretKeys": {"existingSecret": "rushes-keys"},
    "storage": {"url": "s3://rushes"},
}
EVERYTHING: dict[str, Any] = {
    **LEAST,
    "storage": {"url": "s3://rushes", "existingSecret": "rushes-s3", "endpointUrl": "http://minio:9000"},
    "providerSecrets": ["providers"],
    "settings": {"RUSHES_RETENTION_S": "2592000"},
    "config": "[limits]\njobs_in_flight = 20\n",
    "ingress": {"enabled": True, "hosts": ["video.example.com"], "className": "nginx"},
    "networkPolicy": {"toPrivate": [{"cidr": "10.0.0.7/32", "port": 5432}]},
    "front": {"autoscaling": {"enabled": True}, "nodeSelector": {"pool": "small"}},
    "worker": {"autoscaling": {"enabled": True, "prometheusUrl": "http://prometheus:9090"}},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
}


def helm(tmp_path: Path, values: dict[str, Any], *arguments: str) -> subprocess.CompletedProcess[str]:
    assert HELM is not None
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    # No cluster is asked: helm only reads the chart and the values.
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    command = [HELM, "template", "video", str(CHART), "--values", str(file), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def rendered(tmp_path: Path, values: dict[str, Any]) -> list[dict[str, Any]]:
    done = helm(tmp_path, values)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document is not None]


def pods(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [found["spec"]["template"]["spec"] for found in objects if found["kind"] in ("Deployment", "Job")]


@needs_helm
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("values", [LEAST, EVERYTHING], ids=["least", "everything"])
def test_every_object_is_valid(tmp_path: Path, values: dict[str, Any], version: str) -> None:
    kubernetes = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    checked = 0
    for document in rendered(tmp_path, values):
        if document["apiVersion"].split("/")[0] in ("keda.sh", "monitoring.coreos.com"):
            continue
        kubernetes.validate(document, version, strict=True)
        checked += 1
    assert checked >= 9


@needs_helm
def test_pods_run_without_privileges(tmp_path: Path) -> None:
    for pod in pods(rendered(tmp_path, EVERYTHING)):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


@needs_helm
def test_secrets_are_references(tmp_path: Path) -> None:
    for pod in pods(rendered(tmp_path, EVERYTHING)):
        for variable in pod["containers"][0]["env"]:
            is_secret = any(word in variable["name"] for word in ("DATABASE_URL", "KEY", "SECRET"))
            assert ("valueFrom" in variable) == is_secret, variable


@needs_helm
def test_the_schema_is_migrated_before_the_new_pods_start(tmp_path: Path) -> None:
    (job,) = [found for found in rendered(tmp_path, LEAST) if found["kind"] == "Job"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["migrate"]


@needs_helm
def test_a_front_serves_until_its_probe_has_failed(tmp_path: Path) -> None:
    (front,) = [
        found
        for found in rendered(tmp_path, LEAST)
        if found["kind"] == "Deployment" and found["metadata"]["name"].endswith("-front")
    ]
    pod = front["spec"]["template"]["spec"]
    container = pod["containers"][0]
    probe = container["readinessProbe"]
    settings = {variable["name"]: variable.get("value") for variable in container["env"]}
    lame_duck_s = float(settings["RUSHES_LAME_DUCK_S"])
    assert lame_duck_s > probe["failureThreshold"] * (probe["periodSeconds"] + probe["timeoutSeconds"])
    assert pod["terminationGracePeriodSeconds"] > lame_duck_s + 10


@needs_helm
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"publicUrl": ""}, "publicUrl"),
        ({"database": {"existingSecret": ""}}, "database.existingSecret"),
        ({"secretKeys": {"existingSecret": ""}}, "secretKeys.existingSecret"),
        ({"storage": {"url": "/mnt/share"}}, "/storage/url"),
        ({"front": {"replica": 3}}, "replica"),
        ({"settings": {"rushes_retention_s": "1"}}, "rushes_retention_s"),
        ({"worker": {"autoscaling": {"enabled": True}}}, "prometheusUrl"),
        ({"front": {"lameDuckSeconds": 50}}, "front.terminationGracePeriodSeconds"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    done = helm(tmp_path, {**LEAST, **change})
    assert done.returncode != 0
    assert said in done.stderr


def test_the_chart_is_of_the_same_version_as_the_package() -> None:
    import rushes

    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == rushes.__version__
