"""Holds a policy against the rules and against the registries that it names."""

import asyncio
from collections.abc import Collection
from typing import Protocol

from policy_svc.domain.errors import registry_not_found
from policy_svc.domain.policy import PolicySpec
from policy_svc.domain.rules import check_destinations, check_dimensions, check_texts
from replication.filters import Dimension


class RegistryGateway(Protocol):
    async def find(self, name: str) -> str | None:
        """The true name of a registry that may be named by its uid; None when there is no such registry."""
        ...

    async def filter_dimensions(self, name: str) -> frozenset[Dimension]:
        """What the artifacts of the registry can be filtered by."""
        ...


class PolicyChecks:
    def __init__(self, registries: RegistryGateway) -> None:
        self._registries = registries

    async def checked(self, spec: PolicySpec, before: PolicySpec | None = None) -> PolicySpec:
        """The spec with the true names of its registries.

        What has not changed since `before` was checked then: a policy can be disabled while a registry service is away.

        Raises:
            InvalidRequest: the spec breaks a rule.
            ServiceError: of the reason REGISTRY_NOT_FOUND, or the registry service does not answer.
        """
        check_texts(spec)
        known = before.registries if before else frozenset()
        names = await self._true_names(spec, spec.registries - known)
        resolved = spec.with_registries(lambda name: names.get(name, name))
        check_destinations(resolved)
        if resolved.filters and not (before and _same_selection(resolved, before)):
            check_dimensions(resolved, await self._registries.filter_dimensions(resolved.source_registry))
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


def _same_selection(spec: PolicySpec, other: PolicySpec) -> bool:
    return (spec.source_registry, spec.filters) == (other.source_registry, other.filters)
