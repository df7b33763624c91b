"""What is measured. A scenario is a source, a way to it, and steps that follow one another; a step is a case."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.corpus import Corpus, Sizes, many_repositories, many_tags, one_layer, same_image
from benchmarks.proxy import Cuts

ROUND_TRIP_S: Final = 0.04
CUT_COUNT: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One case. With `changes`, one tag of the source is changed before it."""

    case: str
    changes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Steps over one corpus; each contender begins with a new destination, empty or with everything in it already.

    `delay_s` and `cuts` put a proxy in the way. `has_floor` asks for the upload alone beside the copies.
    """

    build: Callable[[Sizes, Path], Corpus]
    steps: tuple[Step, ...]
    tls: bool = False
    starts_full: bool = False
    delay_s: float = 0.0
    cut_count: int = 0
    has_floor: bool = False

    @property
    def needs_proxy(self) -> bool:
        return bool(self.delay_s or self.cut_count)

    @property
    def can_be_counted(self) -> bool:
        """The proxy does not speak TLS, and what goes through it anyway is counted as it is timed."""
        return not self.tls and not self.needs_proxy

    def cuts(self, corpus: Corpus) -> Cuts:
        """Cuts that are spread evenly over the largest blob."""
        if not self.cut_count:
            return Cuts()
        return Cuts(after=corpus.largest_blob.size // (self.cut_count + 1), count=self.cut_count)


TITLES: Final[Mapping[str, str]] = {
    "a": "One large layer",
    "a-tls": "One large layer, TLS",
    "b": "Many repositories, cold",
    "c": "Many repositories, nothing changed",
    "d": "Many repositories, one tag changed",
    "e": "One image in many repositories",
    "f": "Many tags in one repository, nothing changed",
    "g-b": "b with 40 ms of round-trip time",
    "g-c": "c with 40 ms of round-trip time",
    "h": "One large layer, connection cut ten times",
}
SCENARIOS: Final = (
    Scenario(build=one_layer, steps=(Step(case="a"),), has_floor=True),
    Scenario(build=one_layer, steps=(Step(case="a-tls"),), tls=True, has_floor=True),
    Scenario(build=many_repositories, steps=(Step(case="b"), Step(case="c"), Step(case="d", changes=True))),
    Scenario(build=same_image, steps=(Step(case="e"),)),
    Scenario(build=many_tags, steps=(Step(case="f"),), starts_full=True),
    Scenario(build=many_repositories, steps=(Step(case="g-b"), Step(case="g-c")), delay_s=ROUND_TRIP_S),
    Scenario(build=one_layer, steps=(Step(case="h"),), cut_count=CUT_COUNT),
)


def scenarios_with(cases: frozenset[str]) -> list[Scenario]:
    """Those with one of the cases as a step; `g` means both of its steps. Raises ValueError for what is no case."""
    unknown = cases - TITLES.keys() - {"g"}
    if unknown:
        raise ValueError(f"no such case: {', '.join(sorted(unknown))}")
    wanted = cases | ({"g-b", "g-c"} if "g" in cases else frozenset())
    return [each for each in SCENARIOS if wanted & {step.case for step in each.steps}]
