"""The notifications of Docker's distribution: https://distribution.github.io/distribution/about/notifications/.

An envelope has events of four actions. Pulls and mounts change nothing, and of the pushes only those of manifests tell
of an artifact. A deletion has a tag, or a digest of which the registry does not say whether it was a blob's; where a
digest goes that tags name, versions 2.8 and later tell of each of these tags too.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from policy_svc.events.domain.event import EventKind, Notice
from policy_svc.events.notifications.documents import Document, document, documents, moment, text

_KINDS: Final = {"push": EventKind.PUSH, "delete": EventKind.DELETE}
_BLOB_TYPE: Final = "application/octet-stream"


def told(envelope: Document, received: datetime) -> Iterator[Notice | None]:
    """A notice for each push and deletion, None for each other event."""
    for event in documents(envelope["events"]):
        kind = _KINDS.get(text(event.get("action")))
        target = document(event.get("target"))
        if kind is None or (kind is EventKind.PUSH and not _is_manifest(target)):
            yield None
            continue
        yield Notice(
            id=text(event.get("id")),
            kind=kind,
            repository=text(target.get("repository")),
            tag=text(target.get("tag")),
            digest=text(target.get("digest")),
            occur_time=moment(event.get("timestamp")) or received,
        )


def _is_manifest(target: Document) -> bool:
    """By the URL where there is one, since a manifest may be of any media type."""
    *_, place, _name = ("", "", *text(target.get("url")).rsplit("/", 2))
    if place in {"manifests", "blobs"}:
        return place == "manifests"
    return text(target.get("mediaType")) not in {"", _BLOB_TYPE}
