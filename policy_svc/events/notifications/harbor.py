"""The webhooks of Harbor, in its own form and as CloudEvents.

https://goharbor.io/docs/main/working-with-projects/project-configuration/configure-webhooks/

Harbor's own form has no id. A webhook that Harbor repeats says the same again, so a hash of what it says is one.
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from policy_svc.events.domain.event import EventKind, Notice
from policy_svc.events.domain.rules import is_digest
from policy_svc.events.notifications.documents import Document, document, documents, moment, text

_KINDS: Final = {
    "PUSH_ARTIFACT": EventKind.PUSH,
    "DELETE_ARTIFACT": EventKind.DELETE,
    # Harbor before 2.0, and registries that speak like it.
    "pushImage": EventKind.PUSH,
    "deleteImage": EventKind.DELETE,
    # CloudEvents.
    "harbor.artifact.pushed": EventKind.PUSH,
    "harbor.artifact.deleted": EventKind.DELETE,
}


def told(webhook: Document, received: datetime) -> Iterator[Notice | None]:
    """Notices for each artifact that was pushed or deleted, None for anything else."""
    kind = _KINDS.get(text(webhook["type"]))
    data = document(webhook.get("event_data")) or document(webhook.get("data"))
    repository = text(document(data.get("repository")).get("repo_full_name"))
    occur_time = moment(webhook.get("occur_at")) or moment(webhook.get("time"))
    origin = text(webhook.get("id")) or str(occur_time or received)
    resources = documents(data.get("resources"))
    if kind is None or not resources:
        yield None
        return
    for tag, digest in dict.fromkeys(_references(kind, resources)):
        said = f"{origin}\n{kind}\n{repository}\n{tag}\n{digest}"
        yield Notice(
            id=hashlib.sha256(said.encode()).hexdigest(),
            kind=kind,
            repository=repository,
            tag=tag,
            digest=digest,
            occur_time=occur_time or received,
        )


def _references(kind: EventKind, resources: list[Document]) -> Iterator[tuple[str, str]]:
    """Tag and digest of each artifact. One without a tag has its digest in the place of the tag."""
    for resource in resources:
        tag, digest = text(resource.get("tag")), text(resource.get("digest"))
        if is_digest(tag):
            tag, digest = "", digest or tag
        yield tag, digest
        if kind is EventKind.DELETE and digest:
            # The artifact is gone with all of its tags, of which a webhook may name one.
            yield "", digest
