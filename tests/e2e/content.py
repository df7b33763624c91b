"""Content for real registries: built by us, pushed and read by skopeo, which shares no code with us."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx
import pytest

from oci_client.testing import BuiltManifest, FakeRegistry, an_artifact, an_image, an_index, index_of, serve_in_thread
from oci_client.testing.blob import Blob
from tests.registries import PASSWORD, USERNAME, DockerRegistry

REQUIRE_VARIABLE: Final = "TRANSSHIP_REQUIRE_REGISTRIES"
_SKOPEO_TIMEOUT_S: Final = 60.0
_ALL_TYPES: Final = ",".join(
    f"application/vnd.{name}+json"
    for name in (
        "oci.image.index.v1",
        "oci.image.manifest.v1",
        "docker.distribution.manifest.list.v2",
        "docker.distribution.manifest.v2",
    )
)


def need(program: str) -> None:
    """Skips the test without the program, or fails it where everything is meant to be there."""
    if shutil.which(program):
        return
    message = f"{program} is not installed (on Debian: apt-get install {program})"
    if os.environ.get(REQUIRE_VARIABLE) == "1":
        pytest.fail(message)
    pytest.skip(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class RealRegistry:
    """A running docker-registry and who may use it."""

    server: DockerRegistry
    credential: tuple[str, str] | None = None

    @property
    def url(self) -> str:
        return self.server.url

    def tags(self) -> dict[str, str]:
        """The digest of every `repository:tag` that there is."""
        with httpx.Client(base_url=f"{self.url}/v2/", auth=self.credential, trust_env=False) as http:
            names = http.get("_catalog", params={"n": 1000}).raise_for_status().json()["repositories"]
            # A repository whose tags are all gone is listed still, and answers 404.
            listed = {name: http.get(f"{name}/tags/list").json().get("tags") or () for name in names}
            return {f"{name}:{tag}": _digest(http, name, tag) for name, tags in listed.items() for tag in tags}

    def put(self, repository: str, built: BuiltManifest, tag: str) -> None:
        """Pushes what skopeo refuses to."""
        with httpx.Client(base_url=f"{self.url}/v2/{repository}/", auth=self.credential, trust_env=False) as http:
            for each in built.walk():
                for digest, blob in each.blobs.items():
                    _put_blob(http, digest, blob)
                name = tag if each is built else each.digest
                headers = {"Content-Type": each.media_type}
                http.put(f"manifests/{name}", content=each.manifest, headers=headers).raise_for_status()


def basic(server: DockerRegistry) -> RealRegistry:
    return RealRegistry(server=server, credential=(USERNAME, PASSWORD))


def skopeo_push(registry: RealRegistry, content: Mapping[str, BuiltManifest]) -> None:
    """Pushes each `repository:tag` as it is."""
    fake = FakeRegistry()
    with serve_in_thread(fake):
        for name, built in content.items():
            repository, _, tag = name.rpartition(":")
            fake.push(repository, built, tag)
            skopeo(
                "copy",
                "--all",
                "--preserve-digests",
                "--src-tls-verify=false",
                "--dest-tls-verify=false",
                *(_credential("--dest-creds", registry)),
                f"docker://{fake.host}/{name}",
                f"docker://{registry.server.host}/{name}",
            )


def skopeo_raw(registry: RealRegistry, name: str) -> bytes:
    """The manifest, as a client of somebody else's reads it."""
    place = f"docker://{registry.server.host}/{name}"
    return skopeo("inspect", "--raw", "--tls-verify=false", *_credential("--creds", registry), place)


def skopeo_pull(registry: RealRegistry, name: str, directory: str) -> None:
    """Pulls the image with all its children and layers."""
    place = f"docker://{registry.server.host}/{name}"
    skopeo("copy", "--all", "--src-tls-verify=false", *_credential("--src-creds", registry), place, f"dir:{directory}")


def skopeo(*arguments: str) -> bytes:
    done = subprocess.run(
        ["skopeo", "--insecure-policy", *arguments], capture_output=True, timeout=_SKOPEO_TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def everything() -> dict[str, BuiltManifest]:
    """What skopeo pushes: an image for several architectures, one of Docker's, an OCI one, and an artifact."""
    return {
        "library/app:1.0": an_index(seed=10, attestation=True),
        "library/app:1.1": an_image([3000, 5], seed=20, docker=True),
        "library/app:1.2-rc": an_image(seed=25),
        "library/app:edge": an_image(seed=30),
        "library/tools/chart:1.7": an_artifact("application/vnd.example.chart.v1", seed=40),
        "library/secret:1.0": an_image(seed=50),
        "team/app:1.0": an_image(seed=60),
    }


def nested() -> BuiltManifest:
    """An index in an index, which the specification allows."""
    return index_of([an_index(seed=70), an_image(seed=80)])


def _credential(flag: str, registry: RealRegistry) -> tuple[str, ...]:
    return (flag, ":".join(registry.credential)) if registry.credential else ()


def _digest(http: httpx.Client, repository: str, tag: str) -> str:
    answer = http.head(f"{repository}/manifests/{tag}", headers={"Accept": _ALL_TYPES}).raise_for_status()
    return str(answer.headers["Docker-Content-Digest"])


def _put_blob(http: httpx.Client, digest: str, blob: Blob) -> None:
    upload = http.post("blobs/uploads/").raise_for_status()
    target = httpx.URL(upload.headers["Location"]).copy_merge_params({"digest": digest})
    http.put(target, content=b"".join(blob.pieces())).raise_for_status()
