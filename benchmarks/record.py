"""What was measured last of each case, at which commit and on what: the file that the page is written from.

A case can be measured again without the others. Within a case all contenders are always of one run.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from benchmarks.cases import TITLES
from benchmarks.results import Measurement, Results

LATEST: Final = Path(__file__).parent / "results" / "latest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """One run of a case with everybody: when in the project's history, how often, and on what machine."""

    commit: str
    rounds: int
    machine: Mapping[str, str]
    runs: tuple[Measurement, ...]

    def to_json(self) -> dict[str, Any]:
        runs = [each.to_json() for each in self.runs]
        return {"commit": self.commit, "rounds": self.rounds, "machine": dict(self.machine), "runs": runs}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        runs = tuple(Measurement.from_json(each) for each in document["runs"])
        return cls(commit=document["commit"], rounds=document["rounds"], machine=document["machine"], runs=runs)


class Record:
    """The latest occasion of each case, in the order of the cases."""

    def __init__(self, occasions: Mapping[str, Occasion]) -> None:
        self.occasions = {case: occasions[case] for case in TITLES if case in occasions}

    @classmethod
    def read(cls, path: Path = LATEST) -> Self:
        """What is in the file; nothing when there is none."""
        document = json.loads(path.read_text()) if path.exists() else {}
        return cls({case: Occasion.from_json(each) for case, each in document.items()})

    def write(self, path: Path = LATEST) -> None:
        path.parent.mkdir(exist_ok=True)
        document = {case: each.to_json() for case, each in self.occasions.items()}
        path.write_text(json.dumps(document, indent=1) + "\n")

    def with_measured(
        self, measurements: Iterable[Measurement], *, commit: str, rounds: int, machine: Mapping[str, str]
    ) -> "Record":
        """The record with these runs in the place of older ones of the same cases."""
        runs: dict[str, list[Measurement]] = {}
        for each in measurements:
            runs.setdefault(each.case, []).append(each)
        measured = {
            case: Occasion(commit=commit, rounds=rounds, machine=machine, runs=tuple(found))
            for case, found in runs.items()
        }
        return Record({**self.occasions, **measured})

    @property
    def results(self) -> Results:
        return Results([run for each in self.occasions.values() for run in each.runs])

    @property
    def machines(self) -> Sequence[Mapping[str, str]]:
        """Each that something was measured on, once."""
        unique: list[Mapping[str, str]] = []
        for each in self.occasions.values():
            if each.machine not in unique:
                unique.append(each.machine)
        return unique
