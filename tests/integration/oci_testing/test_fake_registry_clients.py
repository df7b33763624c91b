"""Clients that are not ours push to and pull from the fake registry: skopeo, and blocking ones over TLS."""

import json
import shutil
import signal
import ssl
import subprocess
import sys
import urllib.request

import pytest
import trustme

from oci_client.testing import BearerAuth, FakeRegistry, an_image, an_index, serve_in_thread

needs_skopeo = pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
PLAIN = ("--src-tls-verify=false", "--dest-tls-verify=false", "--preserve-digests")


def skopeo(*arguments: str) -> bytes:
    return subprocess.run(["skopeo", *arguments], check=True, stdout=subprocess.PIPE, timeout=60).stdout


@needs_skopeo
def test_skopeo_copies_an_image() -> None:
    image = an_image([1000, 3_000_000])
    with serve_in_thread(FakeRegistry()) as source, serve_in_thread(FakeRegistry()) as destination:
        source.push("lib/app", image, "v1")
        skopeo("copy", *PLAIN, f"docker://{source.host}/lib/app:v1", f"docker://{destination.host}/mirror/app:v1")

        copied = destination.store.repository("mirror/app")
        assert copied.tags == {"v1": image.digest}
        assert set(copied.blobs) == set(image.blobs)
        assert destination.log.bytes_in > 3_001_000


@needs_skopeo
def test_skopeo_copies_an_index_with_a_token() -> None:
    index = an_index(attestation=True)
    auth = BearerAuth(username="robot", password="secret")
    with serve_in_thread(FakeRegistry()) as source, serve_in_thread(FakeRegistry(auth=auth)) as destination:
        source.push("app", index, "v1")
        target = f"docker://{destination.host}/app:v1"
        skopeo("copy", "--all", *PLAIN, "--dest-creds=robot:secret", f"docker://{source.host}/app:v1", target)

        raw = skopeo("inspect", "--raw", "--tls-verify=false", "--creds=robot:secret", target)
        assert raw == index.manifest
        assert len(destination.store.repository("app").manifests) == 4


def test_a_blocking_client_over_tls() -> None:
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    with serve_in_thread(FakeRegistry(tls=server)) as registry:
        registry.push_image("app", "v1")
        with urllib.request.urlopen(f"{registry.url}/v2/_catalog", context=client) as response:
            assert json.load(response) == {"repositories": ["app"]}


def test_one_runs_from_the_command_line() -> None:
    command = [sys.executable, "-m", "oci_client.testing"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with urllib.request.urlopen(f"{url}/v2/") as response:
            assert response.status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0
