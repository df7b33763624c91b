"""What a registry can do and insists on: the lasting differences between products."""

from dataclasses import dataclass

MAX_MANIFEST_BYTES = 4 * 1024 * 1024  # what the specification asks every registry to take


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """The defaults describe a modern, strict and complete registry."""

    referrers_api: bool = True
    referrers_filter: bool = True
    """Applies `artifactType` itself and says so in OCI-Filters-Applied."""
    referrers_page_size: int | None = None
    oci_tag_put: bool = True
    """Takes `?tag=a&tag=b` when a manifest is put by digest, and says so in OCI-Tag."""
    negotiate: bool = True
    """Answers 404 when the Accept header does not name the manifest's very type, as distribution does."""
    validate_manifests: bool = True
    """Refuses manifests whose blobs or children are not in the repository."""
    delete_by_tag: bool = True
    mount: bool = True
    single_post: bool = True
    """Takes a whole blob in `POST ?digest=`; otherwise opens a plain upload, as distribution does."""
    pagination: bool = True
    """Follows `n` and `last` of a tag list; otherwise sends the whole list, as distribution 2.8 does."""
    max_page_size: int = 1000
    min_chunk_bytes: int = 0
    """Announced as OCI-Chunk-Min-Length; no chunk may follow a shorter one."""
    max_chunk_bytes: int | None = None
    """A longer chunk is answered with 416."""
    content_range: bool = True
    """Answers 416 to a chunk that does not start where the upload stands."""
    stale_state_cancels: bool = False
    """A request whose `_state` disagrees with the upload ends the upload, as in distribution 2.8."""
