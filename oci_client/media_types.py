"""Media types of manifests and layers, and what can be told from them."""

from typing import Final

OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
# Dropped before the image specification 1.1 was final, yet found in registries.
OCI_ARTIFACT_MANIFEST: Final = "application/vnd.oci.artifact.manifest.v1+json"

DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER_GZIP: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_SCHEMA1: Final = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA1_SIGNED: Final = "application/vnd.docker.distribution.manifest.v1+prettyjws"

OCTET_STREAM: Final = "application/octet-stream"
JSON: Final = "application/json"

# What a manifest request accepts. The wildcard comes last: a registry that knows an unknown type may still give it.
ACCEPT_MANIFESTS: Final = (
    OCI_INDEX,
    DOCKER_LIST,
    OCI_MANIFEST,
    DOCKER_MANIFEST,
    OCI_ARTIFACT_MANIFEST,
    DOCKER_SCHEMA1_SIGNED,
    DOCKER_SCHEMA1,
    "*/*",
)

_INDEXES: Final = frozenset({OCI_INDEX, DOCKER_LIST})
_IMAGE_MANIFESTS: Final = frozenset({OCI_MANIFEST, DOCKER_MANIFEST, OCI_ARTIFACT_MANIFEST})
_SCHEMA1: Final = frozenset({DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED})
_NONDISTRIBUTABLE_OCI_PREFIX: Final = "application/vnd.oci.image.layer.nondistributable."
_FOREIGN_DOCKER_PREFIX: Final = "application/vnd.docker.image.rootfs.foreign."


# Types that say nothing about what kind of manifest it is.
_VAGUE: Final = frozenset({"", JSON, OCTET_STREAM, "text/plain"})


def essence(content_type: str) -> str:
    """Return a Content-Type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def is_index(media_type: str) -> bool:
    return media_type in _INDEXES


def is_image_manifest(media_type: str) -> bool:
    return media_type in _IMAGE_MANIFESTS


def is_manifest(media_type: str) -> bool:
    """Whether the specifications name this type for a manifest of any kind."""
    return is_index(media_type) or is_image_manifest(media_type) or is_schema1(media_type)


def is_vague(media_type: str) -> bool:
    """Whether the type leaves open what kind of manifest it is, so that the content itself must tell."""
    return media_type in _VAGUE


def is_schema1(media_type: str) -> bool:
    return media_type in _SCHEMA1


def is_foreign_layer(media_type: str) -> bool:
    """Whether such a layer is fetched from its own `urls` and not from the registry."""
    return media_type.startswith((_NONDISTRIBUTABLE_OCI_PREFIX, _FOREIGN_DOCKER_PREFIX))
