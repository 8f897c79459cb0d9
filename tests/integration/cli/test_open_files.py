from __future__ import annotations

import resource
import subprocess
import sys

import pytest

AFTERWARDS = """
import resource
from rushes.cli.open_files import allow_many_open_files
allow_many_open_files()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize("soft", [200, 700])
def test_a_process_may_open_as_many_files_as_the_system_lets_it(soft: int) -> None:
    hard = 700
    done = subprocess.run(
        [sys.executable, "-c", AFTERWARDS],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(hard), str(hard)]
