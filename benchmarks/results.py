"""What was measured, and what follows from it: medians and ratios."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Self

from benchmarks.counts import Counts
from benchmarks.measure import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusFacts:
    """What a case was about."""

    repositories: int
    tags: int
    unique_bytes: int
    blobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What reached the registries."""

    source: Counts
    destination: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One run. `is_timed` is false for a run that was made to be counted; `failure` says why it does not count."""

    case: str
    contender: str
    facts: CorpusFacts
    is_timed: bool
    usage: Usage | None = None
    traffic: Traffic | None = None
    failure: str | None = None

    def to_json(self) -> dict[str, Any]:
        traffic = self.traffic and {
            "source": self.traffic.source.to_json(),
            "destination": self.traffic.destination.to_json(),
        }
        usage = self.usage and {
            "wall_s": self.usage.wall_s,
            "cpu_s": dict(self.usage.cpu_s),
            "peak_rss_bytes": dict(self.usage.peak_rss_bytes),
        }
        return {
            "case": self.case,
            "contender": self.contender,
            "corpus": asdict(self.facts),
            "timed": self.is_timed,
            "usage": usage,
            "traffic": traffic,
            "failure": self.failure,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Reads what `to_json` has made."""
        usage, traffic = document["usage"], document["traffic"]
        return cls(
            case=document["case"],
            contender=document["contender"],
            facts=CorpusFacts(**document["corpus"]),
            is_timed=document["timed"],
            usage=usage and Usage(**usage),
            traffic=traffic and Traffic(**{side: Counts.from_json(each) for side, each in traffic.items()}),
            failure=document["failure"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """All runs of one contender in one case."""

    case: str
    contender: str
    facts: CorpusFacts
    rounds: int
    usage: Usage | None
    traffic: Traffic | None
    failures: tuple[str, ...]


class Results:
    """Summaries by case and contender, in the order in which they were measured."""

    def __init__(self, measurements: Iterable[Measurement]) -> None:
        groups: dict[tuple[str, str], list[Measurement]] = {}
        for each in measurements:
            groups.setdefault((each.case, each.contender), []).append(each)
        self._summaries = {key: _summary(group) for key, group in groups.items()}

    @property
    def cases(self) -> list[str]:
        return list(dict.fromkeys(case for case, _ in self._summaries))

    def of(self, case: str) -> list[Summary]:
        return [each for (of_case, _), each in self._summaries.items() if of_case == case]

    def get(self, case: str, contender: str) -> Summary | None:
        return self._summaries.get((case, contender))

    def wall_s(self, case: str, contender: str) -> float | None:
        """The median, or None when it was not measured, or failed."""
        found = self.get(case, contender)
        return found.usage.wall_s if found and found.usage else None

    def ratio(self, case: str, contender: str, to: str) -> float | None:
        """How many times the wall time of `to` the contender's is."""
        mine, theirs = self.wall_s(case, contender), self.wall_s(case, to)
        return None if mine is None or theirs is None else mine / theirs


def median_usage(usages: Sequence[Usage]) -> Usage:
    """The median of each figure by itself."""
    first = usages[0]

    def of_part(pick: Callable[[Usage], Mapping[str, float]], part: str) -> float:
        return median(pick(usage)[part] for usage in usages)

    return Usage(
        wall_s=median(usage.wall_s for usage in usages),
        cpu_s={part: of_part(lambda usage: usage.cpu_s, part) for part in first.cpu_s},
        peak_rss_bytes={part: int(of_part(lambda usage: usage.peak_rss_bytes, part)) for part in first.peak_rss_bytes},
    )


def _summary(group: Sequence[Measurement]) -> Summary:
    first = group[0]
    usages = [each.usage for each in group if each.is_timed and each.usage]
    traffics = [each.traffic for each in group if each.traffic and not each.failure]
    return Summary(
        case=first.case,
        contender=first.contender,
        facts=first.facts,
        rounds=len(usages),
        usage=median_usage(usages) if usages else None,
        traffic=traffics[-1] if traffics else None,
        failures=tuple(each.failure for each in group if each.failure),
    )
