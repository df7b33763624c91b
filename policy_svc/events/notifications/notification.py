"""From the body of a request to what it tells."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from policy_svc.events.domain.event import Notice
from policy_svc.events.domain.rules import violations
from policy_svc.events.notifications import distribution, harbor
from policy_svc.events.notifications.documents import Document
from service_kit.errors import FieldViolation, InvalidRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """The pushes and deletions of which a registry tells, and how much else it told."""

    notices: tuple[Notice, ...]
    ignored: int = 0


def read(body: bytes, received: datetime) -> Notification:
    """Reads what a registry has sent; what it does not date happened when it was received.

    What is no push or deletion of an artifact, or cannot be one, is counted only: a registry repeats what is refused,
    and keeps everything behind it waiting.

    Raises:
        InvalidRequest: it is nothing that a registry sends.
    """
    told = list(_told(_parsed(body), received))
    notices = tuple(notice for notice in told if notice and not any(violations(notice)))
    return Notification(notices=notices, ignored=len(told) - len(notices))


def _parsed(body: bytes) -> Document:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _invalid("is not JSON, or is nested too deeply") from error
    if not isinstance(parsed, dict):
        raise _invalid("is not an object")
    return parsed


def _told(body: Document, received: datetime) -> Iterator[Notice | None]:
    """A notice for each push and deletion, None for each other thing."""
    if isinstance(body.get("events"), list):
        return distribution.told(body, received)
    if isinstance(body.get("type"), str):
        return harbor.told(body, received)
    raise _invalid("is neither an envelope of Docker's distribution nor a webhook of Harbor")


def _invalid(what: str) -> InvalidRequest:
    return InvalidRequest(violations=[FieldViolation("body", what, "NOTIFICATION_INVALID")])
