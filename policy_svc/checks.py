"""Holds a policy against the rules and against the registries that it names."""

import asyncio
from typing import Protocol

from policy_svc.domain.errors import registry_not_found
from policy_svc.domain.policy import PolicySpec
from policy_svc.domain.registry import Registered, RegistryInfo
from policy_svc.domain.rules import check_destinations, check_source, check_spec
from policy_svc.domain.trigger import EventTrigger


class RegistryGateway(Protocol):
    async def find(self, name: str) -> str | None:
        """The true name of a registry that may be named by its uid; None when there is no such registry."""
        ...

    async def look_up(self, name: str) -> Registered | None:
        """The same, and where it is."""
        ...

    async def info(self, name: str) -> RegistryInfo:
        """What the registry can do."""
        ...


class PolicyChecks:
    """With `fast_schedules`, a schedule may run every minute or more often."""

    def __init__(self, registries: RegistryGateway, *, fast_schedules: bool = False) -> None:
        self._registries = registries
        self._fast_schedules = fast_schedules

    async def checked(self, spec: PolicySpec, before: PolicySpec | None = None) -> PolicySpec:
        """The spec with the true names of its registries.

        What has not changed since `before` was checked then: a policy can be disabled while a registry service is away.

        Raises:
            InvalidRequest: the spec breaks a rule.
            ServiceError: of the reason REGISTRY_NOT_FOUND, or the registry service does not answer.
        """
        schedule_is_old = before is not None and spec.trigger == before.trigger
        check_spec(spec, fast_schedules=self._fast_schedules or schedule_is_old)
        if before is None or _route(spec) != _route(before):
            spec = await self._routed(spec)
        if _asks_of_source(spec) and not (before and _asked(spec) == _asked(before)):
            check_source(spec, await self._registries.info(spec.source_registry))
        return spec

    async def _routed(self, spec: PolicySpec) -> PolicySpec:
        """The spec with true names, once its destinations are places of their own."""
        found = await self._look_up(spec)
        resolved = spec.with_registries(lambda name: found[name].name)
        check_destinations(resolved, {each.name: each.url for each in found.values()})
        return resolved

    async def _look_up(self, spec: PolicySpec) -> dict[str, Registered]:
        async with asyncio.TaskGroup() as group:
            tasks = {name: group.create_task(self._registries.look_up(name)) for name in spec.registries}
        found = {name: task.result() for name, task in tasks.items()}
        fields = {"policy.source_registry": spec.source_registry}
        fields |= {f"policy.destinations[{i}].registry": each.registry for i, each in enumerate(spec.destinations)}
        if missing := {field: name for field, name in fields.items() if found[name] is None}:
            raise registry_not_found(missing)
        return {name: registry for name, registry in found.items() if registry is not None}


def _asks_of_source(spec: PolicySpec) -> bool:
    """Whether the policy asks something that not every registry can do."""
    return bool(spec.filters) or isinstance(spec.trigger, EventTrigger)


def _route(spec: PolicySpec) -> tuple[object, ...]:
    """All that decides whether two places are one."""
    return spec.source_registry, spec.destinations, spec.filters


def _asked(spec: PolicySpec) -> tuple[object, ...]:
    return spec.source_registry, spec.filters, isinstance(spec.trigger, EventTrigger)
