"""What makes a notice sound, beyond what the rules in the proto can say."""

from collections.abc import Callable, Iterator
from typing import Final

from oci_client.digest import Digest
from oci_client.errors import InvalidDigest, InvalidReference
from oci_client.reference import RepositoryName, Tag
from policy_svc.events.domain.event import Notice
from service_kit.errors import FieldViolation

MAX_ID_CHARS: Final = 128


def violations(notice: Notice, field: str = "") -> Iterator[FieldViolation]:
    """Every mistake in the notice; `field` is where it stands in the request, with a dot behind it."""
    if not (0 < len(notice.id) <= MAX_ID_CHARS and notice.id.isprintable()):
        description = f"must be 1 to {MAX_ID_CHARS} printable characters"
        yield FieldViolation(f"{field}id", description, "CHARACTER_INVALID")
    if not _is(RepositoryName.parse, notice.repository):
        yield FieldViolation(f"{field}repository", "is no name that a repository can have", "REPOSITORY_INVALID")
    if notice.tag and not _is(Tag.parse, notice.tag):
        yield FieldViolation(f"{field}tag", "is no name that a tag can have", "TAG_INVALID")
    if notice.digest and not is_digest(notice.digest):
        yield FieldViolation(f"{field}digest", "is no digest of SHA-256 or SHA-512", "DIGEST_INVALID")
    if not (notice.tag or notice.digest):
        yield FieldViolation(field.rstrip("."), "needs a tag or a digest", "TAG_OR_DIGEST_NEEDED")


def is_digest(text: str) -> bool:
    return _is(Digest.parse, text)


def _is(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except (InvalidReference, InvalidDigest):
        return False
    return True
