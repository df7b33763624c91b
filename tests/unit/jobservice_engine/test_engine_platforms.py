"""An index with fewer platforms: what is kept, what it says of its origin, and when it stays as it is."""

from __future__ import annotations

import json

import pytest

from jobservice.engine.errors import CopyError
from jobservice.engine.platforms import SOURCE_DIGEST, with_platforms
from oci_client.manifest import ImageIndex, Manifest, parse_manifest
from oci_client.testing import an_artifact, an_image, an_index, index_of


def index(*platforms: str, attestation: bool = True) -> Manifest:
    built = an_index(platforms, attestation=attestation)
    return parse_manifest(built.manifest, built.media_type)


def kept_platforms(manifest: Manifest) -> list[str]:
    assert isinstance(manifest, ImageIndex)
    return [str(child.platform) for child in manifest.manifests]


def test_only_the_wanted_platform_is_kept() -> None:
    kept = with_platforms(index("amd64", "arm64", attestation=False), ["linux/arm64"])

    assert kept_platforms(kept) == ["linux/arm64"]


def test_the_digest_at_the_source_is_kept_in_an_annotation() -> None:
    original = index("amd64", "arm64")

    kept = with_platforms(original, ["linux/arm64"])

    assert kept.digest != original.digest
    assert json.loads(kept.raw)["annotations"][SOURCE_DIGEST] == original.digest


def test_children_stay_as_they_were_described() -> None:
    original = json.loads(index("amd64", "arm64").raw)

    kept = json.loads(with_platforms(index("amd64", "arm64"), ["linux/amd64"]).raw)

    assert all(child in original["manifests"] for child in kept["manifests"])


def test_an_attestation_stays_with_its_image_and_goes_with_it() -> None:
    original = index("amd64", "arm64")
    attested = {
        child.annotations["vnd.docker.reference.digest"]
        for child in original.children
        if "vnd.docker.reference.digest" in child.annotations
    }

    for platform in ("linux/amd64", "linux/arm64"):
        kept = with_platforms(original, [platform]).children
        images = {child.digest for child in kept if child.platform and str(child.platform) == platform}
        attestations = [child for child in kept if "vnd.docker.reference.digest" in child.annotations]
        assert len(images) == 1
        assert {child.annotations["vnd.docker.reference.digest"] for child in attestations} == images & attested


def test_the_same_choice_gives_the_same_bytes() -> None:
    first = with_platforms(index("amd64", "arm64"), ["linux/amd64"])

    assert first.raw == with_platforms(index("amd64", "arm64"), ["linux/amd64"]).raw


@pytest.mark.parametrize("wanted", [[], ["linux/amd64", "linux/arm64"]])
def test_an_index_that_loses_nothing_keeps_its_bytes(wanted: list[str]) -> None:
    original = index("amd64", "arm64")

    assert with_platforms(original, wanted) is original


def test_an_image_is_no_index() -> None:
    built = an_image([b"layer"])
    image = parse_manifest(built.manifest, built.media_type)

    assert with_platforms(image, ["windows/amd64"]) is image


def test_a_list_of_signatures_has_no_platforms_to_choose_from() -> None:
    signature = an_artifact(subject=an_image())
    built = index_of([signature])
    listing = parse_manifest(built.manifest, built.media_type)

    assert with_platforms(listing, ["linux/amd64"]) is listing


def test_no_wanted_platform_is_an_error_that_names_them() -> None:
    with pytest.raises(CopyError) as caught:
        with_platforms(index("amd64"), ["linux/s390x"])

    assert caught.value.failure.reason == "PLATFORM_ABSENT"
    assert caught.value.failure.metadata["platforms"] == "linux/s390x"


@pytest.mark.parametrize(
    ("wanted", "variant", "is_kept"),
    [
        ("linux/arm64", "v8", True),
        ("linux/arm64/v8", "", True),
        ("linux/arm64/v8", "v8", True),
        ("linux/arm64/v9", "v8", False),
    ],
)
def test_a_variant(wanted: str, variant: str, is_kept: bool) -> None:
    """A platform without a variant means all of them, and an image without one has the usual one."""
    document = json.loads(index("arm64", "amd64", attestation=False).raw)
    if variant:
        document["manifests"][0]["platform"]["variant"] = variant
    manifest = parse_manifest(json.dumps(document).encode(), document["mediaType"])

    if is_kept:
        assert len(with_platforms(manifest, [wanted]).children) == 1
    else:
        with pytest.raises(CopyError):
            with_platforms(manifest, [wanted])
