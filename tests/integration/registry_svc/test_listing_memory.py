"""A listing of a very large registry stays small, measured in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MAX_BYTES = 150 * 1024 * 1024  # of the whole process
MAX_MESSAGE_BYTES = 1024 * 1024  # a gRPC message may have four times that
TIMEOUT_S = 100


@pytest.mark.parametrize(
    "case",
    [
        ["--repositories", "10000", "--tags", "10"],
        ["--repositories", "10000", "--tags", "10", "--rejected"],
        ["--repositories", "1", "--tags", "100000"],
        ["--repositories", "1", "--tags", "100000", "--rejected"],
        ["--repositories", "1", "--tags", "100000", "--newest"],
    ],
    ids=" ".join,
)
def test_a_large_registry_is_listed_in_little_memory(case: list[str]) -> None:
    module = "tests.integration.registry_svc.listing_memory"
    done = subprocess.run(
        [sys.executable, "-m", module, *case], cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)

    repositories, tags = int(case[1]), int(case[3])
    assert told["references"] + told["rejections"] == repositories * tags
    assert told["peak_bytes"] < MAX_BYTES
    assert told["largest_message_bytes"] < MAX_MESSAGE_BYTES
