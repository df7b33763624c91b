"""The request log: what clients asked, what it cost, and how much of it went on at once."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from oci_client.testing.messages import Action, Request

KEPT_HEADERS = ("Authorization", "Accept", "Range", "Content-Range", "Content-Length", "Content-Type", "User-Agent")


@dataclass(slots=True, kw_only=True)
class Recorded:
    """One request. Filled in before the bytes leave, so a client that has its answer finds the entry complete."""

    method: str
    action: Action
    repository: str
    path: str
    query: Mapping[str, tuple[str, ...]]
    headers: Mapping[str, str]
    status: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    done: bool = False


@dataclass(slots=True)
class RequestLog:
    """Requests in order of arrival."""

    entries: list[Recorded] = field(default_factory=list)
    _in_flight: Counter[Action] = field(default_factory=Counter)
    _peaks: Counter[Action] = field(default_factory=Counter)
    _peak: int = 0

    def open(self, request: Request) -> Recorded:
        """Notes a request at its arrival."""
        kept = {name: request.headers[name] for name in KEPT_HEADERS if name in request.headers}
        entry = Recorded(
            method=request.method,
            action=request.action,
            repository=request.repository,
            path=request.path,
            query=request.query,
            headers=kept,
        )
        self.entries.append(entry)
        self._in_flight[request.action] += 1
        self._peaks[request.action] = max(self._peaks[request.action], self._in_flight[request.action])
        self._peak = max(self._peak, self.in_flight())
        return entry

    def close(self, entry: Recorded) -> None:
        """The request is no longer in flight; may be said twice."""
        if not entry.done:
            entry.done = True
            self._in_flight[entry.action] -= 1

    def select(
        self,
        *,
        method: str | None = None,
        action: Action | str | None = None,
        repository: str | None = None,
        status: int | None = None,
    ) -> list[Recorded]:
        """The requests that have all of what is given."""
        return [
            entry
            for entry in self.entries
            if method in (None, entry.method)
            and action in (None, entry.action)
            and repository in (None, entry.repository)
            and status in (None, entry.status)
        ]

    def count(
        self,
        *,
        method: str | None = None,
        action: Action | str | None = None,
        repository: str | None = None,
        status: int | None = None,
    ) -> int:
        """How many requests have all of what is given."""
        return len(self.select(method=method, action=action, repository=repository, status=status))

    @property
    def bytes_in(self) -> int:
        """What came in as bodies of requests."""
        return sum(entry.bytes_in for entry in self.entries)

    @property
    def bytes_out(self) -> int:
        """What went out as bodies of replies."""
        return sum(entry.bytes_out for entry in self.entries)

    def in_flight(self, action: Action | None = None) -> int:
        return self._in_flight.total() if action is None else self._in_flight[action]

    def peak(self, action: Action | None = None) -> int:
        """The most requests that were in flight at once."""
        return self._peak if action is None else self._peaks[action]

    def reset(self) -> None:
        """Forgets everything but what is in flight now."""
        self.entries.clear()
        self._peaks = Counter(self._in_flight)
        self._peak = self.in_flight()
