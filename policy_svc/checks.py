"""Holds a policy against the rules and against the registries that it names."""

import asyncio
from collections.abc import Collection
from typing import Protocol

from policy_svc.domain.errors import registry_not_found
from policy_svc.domain.policy import PolicySpec
from policy_svc.domain.registry import RegistryInfo
from policy_svc.domain.rules import check_destinations, check_source, check_spec
from policy_svc.domain.trigger import EventTrigger


class RegistryGateway(Protocol):
    async def find(self, name: str) -> str | None:
        """The true name of a registry that may be named by its uid; None when there is no such registry."""
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
        known = before.registries if before else frozenset()
        names = await self._true_names(spec, spec.registries - known)
        resolved = spec.with_registries(lambda name: names.get(name, name))
        check_destinations(resolved)
        if _asks_of_source(resolved) and not (before and _asks_the_same(resolved, before)):
            check_source(resolved, await self._registries.info(resolved.source_registry))
        return resolved

    async def _true_names(self, spec: PolicySpec, asked: Collection[str]) -> dict[str, str]:
        async with asyncio.TaskGroup() as group:
            tasks = {name: group.create_task(self._registries.find(name)) for name in asked}
        found = {name: task.result() for name, task in tasks.items()}
        fields = {"policy.source_registry": spec.source_registry}
        fields |= {f"policy.destinations[{i}].registry": each.registry for i, each in enumerate(spec.destinations)}
        if missing := {field: name for field, name in fields.items() if found.get(name, name) is None}:
            raise registry_not_found(missing)
        return {name: true_name for name, true_name in found.items() if true_name is not None}


def _asks_of_source(spec: PolicySpec) -> bool:
    """Whether the policy asks something that not every registry can do."""
    return bool(spec.filters) or isinstance(spec.trigger, EventTrigger)


def _asks_the_same(spec: PolicySpec, other: PolicySpec) -> bool:
    return _asked(spec) == _asked(other)


def _asked(spec: PolicySpec) -> tuple[object, ...]:
    return spec.source_registry, spec.filters, isinstance(spec.trigger, EventTrigger)
