"""The use case of trying a policy out: what it would pick, and where that would go."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from typing import Protocol

from policy_svc.checks import RegistryGateway
from policy_svc.domain.policy import PolicySpec
from policy_svc.domain.rules import check_destinations, check_spec
from policy_svc.domain.trial import Artifact, Listing, Router, Trial, try_candidates
from policy_svc.service import PolicyService
from replication.mapping import PathRule
from service_kit.clock import Clock


class CatalogGateway(Protocol):
    def list(self, spec: PolicySpec, *, include_rejected: bool) -> AsyncGenerator[Listing, None]:
        """What the policy picks of its source, in batches while it is found; closing it ends the search."""
        ...


class Trials:
    """Tries policies out. `fast_schedules` is as for PolicyService."""

    def __init__(
        self,
        policies: PolicyService,
        registries: RegistryGateway,
        catalog: CatalogGateway,
        clock: Clock,
        *,
        fast_schedules: bool = False,
    ) -> None:
        self._policies = policies
        self._registries = registries
        self._catalog = catalog
        self._clock = clock
        self._fast_schedules = fast_schedules

    async def run(
        self, subject: str | PolicySpec, candidates: Sequence[Artifact], *, include_rejected: bool
    ) -> AsyncGenerator[Trial, None]:
        """Tries a stored policy, named by its key, or one that is not stored.

        With candidates, these are tried in the place of the source, and the registries need not be registered.

        Raises:
            InvalidRequest: a policy that is not stored breaks a rule.
            ServiceError: no such policy or registry, or the source cannot be listed.
        """
        spec = await self._spec(subject, registered=not candidates)
        router = Router(spec, await self._path_rules({each.registry for each in spec.destinations}))
        if candidates:
            listing = try_candidates(spec, candidates, self._clock.now())
            yield _trial(listing, router, include_rejected=include_rejected)
            return
        async with aclosing(self._catalog.list(spec, include_rejected=include_rejected)) as listings:
            async for listing in listings:
                yield _trial(listing, router, include_rejected=include_rejected)

    async def _spec(self, subject: str | PolicySpec, *, registered: bool) -> PolicySpec:
        if isinstance(subject, str):
            return (await self._policies.get(subject)).spec
        if registered:
            return await self._policies.check("", subject)
        check_spec(subject, fast_schedules=self._fast_schedules)
        check_destinations(subject, {})
        return subject

    async def _path_rules(self, registries: Collection[str]) -> dict[str, PathRule]:
        """The path rules of those that are registered."""
        async with asyncio.TaskGroup() as group:
            tasks = {name: group.create_task(self._path_rule(name)) for name in registries}
        return {name: task.result() for name, task in tasks.items()}

    async def _path_rule(self, registry: str) -> PathRule:
        if (name := await self._registries.find(registry)) is None:
            return PathRule()
        return (await self._registries.info(name)).path_rule


def _trial(listing: Listing, router: Router, *, include_rejected: bool) -> Trial:
    return Trial(
        matches=tuple(map(router.route, listing.passed)),
        rejected=listing.rejected if include_rejected else (),
        problems=listing.problems,
    )
