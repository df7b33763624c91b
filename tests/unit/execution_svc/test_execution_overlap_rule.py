"""What becomes of a run that is to start while others have not ended."""

import pytest

from execution_svc.domain.execution import ExecutionId, StartRequest
from execution_svc.domain.origin import EventOperation, EventResource, Origin, Trigger
from execution_svc.domain.overlap import OpenExecution, Place, place
from execution_svc.domain.policy import Policy
from tests.contract.execution_stores import NOW

PUSHED = EventResource(operation=EventOperation.PUSH, repository="x", tag="1")
BY_EVENT = Origin(trigger=Trigger.EVENT, event_resources=(PUSHED,))
SCHEDULED = Origin(trigger=Trigger.SCHEDULED)


def a_request(overlap: str = "", origin: Origin = SCHEDULED) -> StartRequest:
    document = {
        "name": "policies/p",
        "source_registry": "registries/a",
        "destinations": [{"registry": "registries/b"}],
        "overlap": overlap,
    }
    policy = Policy.of_document(document)
    return StartRequest(id=ExecutionId("new"), request_id=None, subject="s", policy=policy, origin=origin, now=NOW)


def an_open(name: str, *, pending: bool = False, by_event: bool = False, same_policy: bool = True) -> OpenExecution:
    return OpenExecution(
        id=ExecutionId(name), pending=pending, by_event=by_event, whole=not by_event, same_policy=same_policy
    )


RUNNING, WAITING = an_open("runs"), an_open("waits", pending=True)
EVENT_WAITS = an_open("event", pending=True, by_event=True)


@pytest.mark.parametrize("overlap", ["", "OVERLAP_UNSPECIFIED", "OVERLAP_QUEUE", "OVERLAP_SKIP", "OVERLAP_REPLACE"])
def test_where_nothing_is_open_a_run_starts(overlap: str) -> None:
    assert place(a_request(overlap), []) == Place()


@pytest.mark.parametrize("overlap", ["", "OVERLAP_UNSPECIFIED", "OVERLAP_QUEUE"])
@pytest.mark.parametrize(
    ("others", "skipped_for"),
    [
        ([RUNNING], ""),
        ([WAITING], ""),  # it may begin any moment
        ([RUNNING, EVENT_WAITS], ""),
        ([RUNNING, an_open("other", pending=True, same_policy=False)], ""),
        ([RUNNING, WAITING], "executions/waits"),
        ([EVENT_WAITS, WAITING], "executions/waits"),
    ],
)
def test_one_that_waits_is_enough(overlap: str, others: list[OpenExecution], skipped_for: str) -> None:
    found = place(a_request(overlap), others)
    assert (bool(found.skipped), skipped_for in found.skipped, found.stopped) == (bool(skipped_for), True, ())


def test_what_is_to_be_skipped_names_what_runs() -> None:
    assert place(a_request("OVERLAP_SKIP"), [RUNNING, WAITING]) == Place(
        skipped="Not run, since executions/runs has not ended."
    )


def test_what_replaces_stops_all_but_events() -> None:
    found = place(a_request("OVERLAP_REPLACE"), [RUNNING, EVENT_WAITS, WAITING])
    assert found == Place(stopped=(ExecutionId("runs"), ExecutionId("waits")))


@pytest.mark.parametrize("overlap", ["OVERLAP_QUEUE", "OVERLAP_SKIP", "OVERLAP_REPLACE"])
def test_events_wait_whatever_the_policy_says(overlap: str) -> None:
    assert place(a_request(overlap, BY_EVENT), [RUNNING, WAITING, EVENT_WAITS]) == Place()
