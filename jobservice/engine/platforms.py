"""Leaves platforms out of an index.

The result is another index with another digest, so signatures of the original do not cover it. The digest that it had
at the source is kept in an annotation. Attestations of the kind that BuildKit makes are children of the index that name
their image in an annotation; they stay with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Final

from jobservice.engine.errors import CopyError
from jobservice.transfer import Failure, Side
from oci_client.manifest import Descriptor, ImageIndex, Manifest, Platform, parse_manifest

SOURCE_DIGEST: Final = "io.transship.source.digest"

# What an image without a variant means; see the platform variants of the image specification.
_USUAL_VARIANTS: Final = {"arm64": "v8", "arm": "v7"}
_ATTESTED_DIGEST: Final = "vnd.docker.reference.digest"


def with_platforms(manifest: Manifest, wanted: Sequence[str]) -> Manifest:
    """Return the index with only its children for the wanted platforms; what is no index, or loses none, unchanged.

    An index that names no platform at all is none of images, such as a list of signatures, and stays as it is too.
    Raises CopyError (`PLATFORM_ABSENT`) when none is left.
    """
    if not wanted or not isinstance(manifest, ImageIndex) or not any(each.platform for each in manifest.manifests):
        return manifest
    kept = _kept(manifest.manifests, wanted)
    if not kept:
        raise CopyError(_absent(manifest, wanted))
    if len(kept) == len(manifest.manifests):
        return manifest
    document = json.loads(manifest.raw)
    document["manifests"] = [child for child in document["manifests"] if child["digest"] in kept]
    document["annotations"] = {**(document.get("annotations") or {}), SOURCE_DIGEST: manifest.digest}
    raw = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    return parse_manifest(raw, manifest.media_type)


def _kept(children: Iterable[Descriptor], wanted: Sequence[str]) -> frozenset[str]:
    children = list(children)
    images = {child.digest for child in children if child.platform and _is_wanted(child.platform, wanted)}
    attestations = {child.digest for child in children if child.annotations.get(_ATTESTED_DIGEST) in images}
    return frozenset(images | attestations)


def _is_wanted(platform: Platform, wanted: Sequence[str]) -> bool:
    """Tell whether a platform is meant by one of `wanted`; one that names no variant means all variants."""
    family = f"{platform.os}/{platform.architecture}"
    variant = platform.variant or _USUAL_VARIANTS.get(platform.architecture, "")
    return family in wanted or f"{family}/{variant}" in wanted


def _absent(manifest: Manifest, wanted: Sequence[str]) -> Failure:
    return Failure(
        reason="PLATFORM_ABSENT",
        message=f"Source: the index has no image for {', '.join(wanted)}.",
        side=Side.SOURCE,
        metadata={"digest": manifest.digest, "platforms": ",".join(wanted)},
    )
