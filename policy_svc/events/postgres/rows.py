"""From rows to events."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from policy_svc.events.domain.event import Event, EventKind, EventState, Notice


def to_event(
    *,
    number: int,
    uid: str,
    registry: str,
    id: str,  # noqa: A002  (the column's name)
    kind: str,
    receive_time: datetime,
    state: str = EventState.PENDING,
    executions: Sequence[str] = (),
    problem: str = "",
    **rest: Any,
) -> Event:
    return Event(
        number=number,
        uid=uid,
        registry=registry,
        notice=Notice(id=id, kind=EventKind(kind), **rest),
        receive_time=receive_time,
        state=EventState(state),
        executions=tuple(executions),
        problem=problem,
    )
