"""For tests of events: builders, stores in memory, and peers that can be told what to do."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from policy_svc.events.domain.batch import Batch, Subscriber
from policy_svc.events.domain.errors import EventNotFound, EventSourceAlreadyExists, EventSourceNotFound
from policy_svc.events.domain.event import Event, EventKind, EventSource, EventState, Notice
from policy_svc.events.postgres.sources import RECEIVED_STEP_S
from service_kit.errors import ServiceError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REGISTRY = "registries/hub"
DIGEST_A = f"sha256:{'a' * 64}"
DIGEST_B = f"sha256:{'b' * 64}"

_ids = itertools.count(1)


def a_push(repository: str = "library/app", tag: str = "1.0", digest: str = DIGEST_A, *, at: float = 0.0) -> Notice:
    return a_notice(EventKind.PUSH, repository, tag, digest, at=at)


def a_delete(repository: str = "library/app", tag: str = "1.0", digest: str = "", *, at: float = 0.0) -> Notice:
    return a_notice(EventKind.DELETE, repository, tag, digest, at=at)


def a_notice(kind: EventKind, repository: str, tag: str, digest: str, *, at: float = 0.0) -> Notice:
    """Happened so many seconds after NOW."""
    return Notice(
        id=f"id-{next(_ids)}",
        kind=kind,
        repository=repository,
        tag=tag,
        digest=digest,
        occur_time=NOW + timedelta(seconds=at),
    )


def an_event(notice: Notice | None = None, *, registry: str = REGISTRY, received: datetime = NOW) -> Event:
    return Event(uid=f"uid-{next(_ids)}", registry=registry, notice=notice or a_push(), receive_time=received)


def a_source(registry: str = REGISTRY, secret_hash: bytes = b"x" * 32) -> EventSource:
    return EventSource(registry=registry, secret_hash=secret_hash, create_time=NOW)


def a_subscriber(
    uid: str = "uid-of-mirror", *, registry: str = REGISTRY, deletes: bool = True, repository: str | None = None
) -> Subscriber:
    """A policy that wants everything, or one repository only."""
    return Subscriber(
        policy_uid=uid,
        policy=f"policies/{uid.removeprefix('uid-of-')}",
        registry=registry,
        deletes=deletes,
        selects=lambda name, tag: repository in {None, name},
    )


@dataclass
class FakeSubscribers:
    policies: list[Subscriber] = field(default_factory=list)

    async def of(self, registry: str) -> Sequence[Subscriber]:
        return [each for each in self.policies if each.registry == registry]

    async def find(self, policy_uid: str) -> Subscriber | None:
        return next((each for each in self.policies if each.policy_uid == policy_uid), None)


@dataclass
class FakeExecutions:
    """Starts an execution for each request id; fails for policies that it is told to."""

    started: dict[str, tuple[str, tuple[Notice, ...]]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    failing: dict[str, ServiceError] = field(default_factory=dict)

    async def start(self, subscriber: Subscriber, notices: Sequence[Notice], request_id: str) -> str:
        self.calls.append(subscriber.policy)
        if error := self.failing.get(subscriber.policy):
            raise error
        self.started.setdefault(request_id, (subscriber.policy, tuple(notices)))
        return f"executions/{list(self.started).index(request_id) + 1}"


class MemorySources:
    def __init__(self) -> None:
        self._sources: dict[str, EventSource] = {}

    async def add(self, source: EventSource) -> None:
        if source.registry in self._sources:
            raise EventSourceAlreadyExists(registry=source.registry)
        self._sources[source.registry] = source

    async def find(self, registry: str) -> EventSource | None:
        return self._sources.get(registry)

    async def page(self, *, after: str, limit: int) -> list[EventSource]:
        found = [each for each in self._sources.values() if each.registry > after]
        return sorted(found, key=lambda each: each.registry)[:limit]

    async def delete(self, registry: str) -> None:
        if self._sources.pop(registry, None) is None:
            raise EventSourceNotFound(registry=registry)

    async def received(self, registry: str, now: datetime) -> None:
        source = self._sources.get(registry)
        if source is None:
            return
        last = source.last_receive_time
        if last is None or last <= now - timedelta(seconds=RECEIVED_STEP_S):
            self._sources[registry] = replace(source, last_receive_time=now)


@dataclass
class _Delivery:
    event: int
    state: str = "PENDING"
    in_batch: bool = False
    execution: str = ""
    problem: str = ""


@dataclass
class _Queue:
    due: datetime
    attempts: int = 0
    token: str = ""
    leased_until: datetime | None = None

    def is_free(self, now: datetime) -> bool:
        return self.leased_until is None or self.leased_until <= now


class MemoryEvents:
    """An EventStore and an Outbox."""

    def __init__(self) -> None:
        self._events: dict[int, Event] = {}
        self._unrouted: dict[int, tuple[str, datetime | None]] = {}
        self._deliveries: dict[tuple[str, str], list[_Delivery]] = {}
        self._queues: dict[tuple[str, str], _Queue] = {}

    async def add(self, events: Sequence[Event]) -> int:
        before = len(self._events)
        known = {(each.registry, each.notice.id) for each in self._events.values()}
        for event in events:
            if (event.registry, event.notice.id) not in known:
                known.add((event.registry, event.notice.id))
                number = max(self._events, default=0) + 1
                self._events[number] = replace(event, number=number)
                self._unrouted[number] = ("", None)
        return len(self._events) - before

    async def get(self, uid: str) -> Event:
        for event in self._events.values():
            if event.uid == uid:
                return self._told(event)
        raise EventNotFound(event=f"events/{uid}")

    async def page(
        self, *, before: int | None, limit: int, registry: str | None = None, states: Sequence[EventState] = ()
    ) -> list[Event]:
        found = [
            self._told(each)
            for each in self._events.values()
            if (before is None or each.number < before)
            and registry in {None, each.registry}
            and (not states or each.state in states)
        ]
        return sorted(found, key=lambda each: -each.number)[:limit]

    async def claim_unrouted(self, *, token: str, now: datetime, until: datetime, limit: int) -> list[Event]:
        free = [number for number, (_, held) in sorted(self._unrouted.items()) if held is None or held <= now][:limit]
        self._unrouted |= dict.fromkeys(free, (token, until))
        return [self._events[number] for number in free]

    async def route(self, *, token: str, policies: Mapping[int, Sequence[str]], due: datetime) -> None:
        for number, uids in policies.items():
            if self._unrouted.get(number, ("", None))[0] != token:
                continue
            del self._unrouted[number]
            registry = self._events[number].registry
            for uid in uids:
                self._deliveries.setdefault((uid, registry), []).append(_Delivery(number))
                self._queues.setdefault((uid, registry), _Queue(due))
            self._finish([number])

    async def claim_batch(self, *, token: str, now: datetime, until: datetime, limit: int) -> Batch | None:
        free = [(queue.due, key) for key, queue in self._queues.items() if queue.due <= now and queue.is_free(now)]
        for _, key in sorted(free):
            waiting = self._waiting(key)
            if not waiting:
                del self._queues[key]
                continue
            if not any(each.in_batch for each in waiting):
                for each in waiting[:limit]:
                    each.in_batch = True
            queue = self._queues[key]
            queue.token, queue.leased_until = token, until
            events = tuple(self._events[each.event] for each in waiting if each.in_batch)
            return Batch(token=token, policy_uid=key[0], registry=key[1], events=events, attempts=queue.attempts)
        return None

    async def settle(self, batch: Batch, *, execution: str | None, problem: str = "", now: datetime) -> bool:
        key = self._held(batch)
        if key is None:
            return False
        done = [each for each in self._waiting(key) if each.in_batch]
        for each in done:
            each.state, each.in_batch = ("STARTED" if execution else "DROPPED"), False
            each.execution, each.problem = execution or "", problem
        self._finish([each.event for each in done])
        del self._queues[key]
        if self._waiting(key):
            self._queues[key] = _Queue(now)
        return True

    async def postpone(self, batch: Batch, *, problem: str, until: datetime) -> bool:
        key = self._held(batch)
        if key is None:
            return False
        for each in self._waiting(key):
            if each.in_batch:
                each.problem = problem
        self._queues[key] = _Queue(until, batch.attempts + 1)
        return True

    async def next_due(self) -> datetime | None:
        return min((max(each.due, each.leased_until or each.due) for each in self._queues.values()), default=None)

    async def expire(self, *, received_before: datetime, now: datetime, limit: int) -> int:
        held = {
            each.event
            for key, queue in self._queues.items()
            if not queue.is_free(now)
            for each in self._waiting(key)
            if each.in_batch
        }
        old = [
            number
            for number, event in self._events.items()
            if event.state is EventState.PENDING and event.receive_time < received_before and number not in held
        ][:limit]
        for each in itertools.chain.from_iterable(self._deliveries.values()):
            if each.event in old and each.state == "PENDING":
                each.state, each.in_batch = "EXPIRED", False
        for number in old:
            self._unrouted.pop(number, None)
            self._events[number] = replace(self._events[number], state=EventState.EXPIRED)
        return len(old)

    async def forget(self, *, received_before: datetime, keep: int, limit: int) -> int:
        final = [number for number, event in self._events.items() if event.state is not EventState.PENDING]
        old = [number for number in final if self._events[number].receive_time < received_before][:limit]
        many = sorted(final, reverse=True)[keep : keep + limit]
        for number in {*old, *many}:
            del self._events[number]
        for key, deliveries in self._deliveries.items():
            self._deliveries[key] = [each for each in deliveries if each.event in self._events]
        return len({*old, *many})

    def _waiting(self, key: tuple[str, str]) -> list[_Delivery]:
        return [each for each in self._deliveries[key] if each.state == "PENDING"]

    def _held(self, batch: Batch) -> tuple[str, str] | None:
        key = (batch.policy_uid, batch.registry)
        queue = self._queues.get(key)
        return key if queue and queue.token == batch.token else None

    def _finish(self, numbers: Sequence[int]) -> None:
        pending = {
            each.event for each in itertools.chain.from_iterable(self._deliveries.values()) if each.state == "PENDING"
        }
        for number in numbers:
            if number not in pending:
                self._events[number] = replace(self._events[number], state=EventState.DELIVERED)

    def _told(self, event: Event) -> Event:
        of_it = [
            each for key in sorted(self._deliveries) for each in self._deliveries[key] if each.event == event.number
        ]
        return replace(
            event,
            executions=tuple(sorted({each.execution for each in of_it if each.execution})),
            problem=" ".join(each.problem for each in of_it if each.problem),
        )
