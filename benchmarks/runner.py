"""Runs scenarios: every contender in every round, in an order that turns, so that what drifts drifts for all."""

import asyncio
import itertools
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks.cases import Scenario, Step
from benchmarks.contenders import Contender, Run
from benchmarks.corpus import Corpus, Pusher, Sizes, changed
from benchmarks.endpoints import Route
from benchmarks.measure import RunFailed
from benchmarks.registries import Certificate, Registry, RunningProxy, running_proxy, running_registry
from benchmarks.results import CorpusFacts, Measurement, Traffic

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A route, the registry at its end, and the proxies on it if there are any."""

    route: Route
    destination: Registry
    proxies: tuple[RunningProxy, RunningProxy] | None = None

    def reset(self) -> None:
        for proxy in self.proxies or ():
            proxy.reset()

    def traffic(self) -> Traffic | None:
        if self.proxies is None:
            return None
        source, destination = (proxy.counts() for proxy in self.proxies)
        return Traffic(source=source, destination=destination)


class ScenarioRunner:
    """One scenario over one source registry, whose corpus changes with the steps that change it."""

    def __init__(self, scenario: Scenario, corpus: Corpus, source: Registry, certificate: Certificate | None) -> None:
        self._scenario = scenario
        self._corpus = corpus
        self._source = source
        self._certificate = certificate
        self._changes = itertools.count(1)

    async def run(self, contenders: Sequence[Contender], rounds: int) -> list[Measurement]:
        """Rounds to be timed, then one to be counted where that needs proxies that the others do without."""
        scenario = self._scenario
        found: list[Measurement] = []
        for number in range(rounds):
            for contender in turned(contenders, number):
                found += await self._turn(contender, proxied=scenario.needs_proxy, is_timed=True)
        if scenario.can_be_counted:
            for contender in contenders:
                if contender.copies:
                    found += await self._turn(contender, proxied=True, is_timed=False)
        return found

    async def _turn(self, contender: Contender, *, proxied: bool, is_timed: bool) -> list[Measurement]:
        """All steps by one contender, with a destination of its own. What fails ends the turn."""
        found: list[Measurement] = []
        # What was written before, such as the corpus, would otherwise be on its way to the disk while this one writes.
        await asyncio.to_thread(os.sync)
        with self._way(proxied=proxied) as way, tempfile.TemporaryDirectory(prefix="transship-bench-") as scratch:
            async with contender.prepared(way.route, self._corpus, Path(scratch)) as run:
                for step in self._scenario.steps:
                    found.append(await self._step(step, contender, way, run, is_timed=is_timed))
                    print(f"  {told(found[-1])}", flush=True)
                    if found[-1].failure:
                        break
        return found

    async def _step(self, step: Step, contender: Contender, way: Way, run: Run, *, is_timed: bool) -> Measurement:
        if step.changes:
            await self._change()
        way.reset()
        usage, failure = None, None
        try:
            usage = await run()
        except RunFailed as error:
            failure = str(error)
        traffic = way.traffic()
        if failure is None and contender.copies:
            failure = await self._failure_in(way.destination)
        return Measurement(
            case=step.case,
            contender=contender.name,
            facts=facts_of(self._corpus),
            is_timed=is_timed,
            usage=None if failure else usage,
            traffic=traffic,
            failure=failure,
        )

    async def _change(self) -> None:
        self._corpus = changed(self._corpus, next(self._changes))
        repository = self._corpus.repositories[0]
        tag, image = next(iter(self._corpus.images[repository].items()))
        async with Pusher.at(self._source.endpoint) as source:
            await source.push(Corpus(images={repository: {tag: image}}))

    async def _failure_in(self, registry: Registry) -> str | None:
        """Whoever is fast must also be right: every tag has its digest at the destination."""
        async with Pusher.at(registry.endpoint) as destination:
            missing = await destination.missing(self._corpus)
        return f"{len(missing)} tags are not there, such as {missing[0]}" if missing else None

    @contextmanager
    def _way(self, *, proxied: bool) -> Iterator[Way]:
        full = self._source.content if self._scenario.starts_full else None
        with running_registry(self._certificate, like=full) as destination:
            if not proxied:
                route = Route(source=self._source.endpoint, destination=destination.endpoint)
                yield Way(route=route, destination=destination)
                return
            delay_s = self._scenario.delay_s
            cuts = self._scenario.cuts(self._corpus)
            with (
                running_proxy(self._source.endpoint, delay_s=delay_s, cuts=cuts) as before_source,
                running_proxy(destination.endpoint, delay_s=delay_s) as before_destination,
            ):
                route = Route(source=before_source.endpoint, destination=before_destination.endpoint)
                yield Way(route=route, destination=destination, proxies=(before_source, before_destination))


async def run_scenario(
    scenario: Scenario, contenders: Sequence[Contender], sizes: Sizes, rounds: int
) -> list[Measurement]:
    """Builds the corpus, fills a source with it, and measures."""
    with tempfile.TemporaryDirectory(prefix="transship-bench-corpus-") as name:
        directory = Path(name)
        corpus = scenario.build(sizes, directory)
        certificate = Certificate.make(directory) if scenario.tls else None
        with running_registry(certificate) as source:
            async with Pusher.at(source.endpoint) as pusher:
                await pusher.push(corpus)
            fitting = [each for each in contenders if each.copies or scenario.has_floor]
            return await ScenarioRunner(scenario, corpus, source, certificate).run(fitting, rounds)


def turned(contenders: Sequence[_Item], number: int) -> list[_Item]:
    """The same ones, beginning with another in every round."""
    start = number % len(contenders) if contenders else 0
    return [*contenders[start:], *contenders[:start]]


def facts_of(corpus: Corpus) -> CorpusFacts:
    return CorpusFacts(
        repositories=len(corpus.repositories),
        tags=corpus.tag_count,
        unique_bytes=corpus.unique_bytes,
        blobs=len(corpus.blobs),
    )


def told(measurement: Measurement) -> str:
    """A line while it goes on."""
    what = f"{measurement.case:6} {measurement.contender:10}"
    if measurement.failure or measurement.usage is None:
        return f"{what} failed: {measurement.failure}"
    how = "timed" if measurement.is_timed else "counted"
    return f"{what} {measurement.usage.wall_s:7.2f} s, CPU {measurement.usage.total_cpu_s:5.2f} s ({how})"
