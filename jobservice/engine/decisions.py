"""Decides what is to become of a reference: the same for a copy and for a plan."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from jobservice.engine.errors import CopyError
from jobservice.engine.lookups import at_destination, source_digest, source_manifest
from jobservice.engine.platforms import with_platforms
from jobservice.engine.transfer import Route
from jobservice.transfer import Action, ArtifactReference, Failure, Side
from oci_client import media_types
from oci_client.digest import Digest
from oci_client.manifest import Descriptor, Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to become of a reference.

    `reference` has its digest at the source, `present` is what its tag stands for at the destination. `manifest` is
    what is to be there, when it had to be fetched for the decision.
    """

    reference: ArtifactReference
    action: Action
    present: Descriptor | None = None
    manifest: Manifest | None = None
    failure: Failure | None = None

    @property
    def has_no_children(self) -> bool:
        """Whether the type alone tells that what is there points to no other manifest; an unknown one may do so."""
        kind = self.present.media_type if self.present and self.action is Action.UNCHANGED else ""
        return media_types.is_manifest(kind) and not media_types.is_index(kind)


class Decider:
    """Looks at both sides of a job's route. Writes nothing."""

    def __init__(self, route: Route, *, override: bool, platforms: Sequence[str]) -> None:
        self._route = route
        self._override = override
        self._platforms = platforms

    async def decide(self, reference: ArtifactReference) -> Decision:
        """Return what is to be done. Raises CopyError."""
        wanted, present = await self._look_up(reference)
        found = ArtifactReference(tag=reference.tag, digest=wanted, destination_tag=reference.destination_tag)
        if present is not None and present.digest == wanted:
            return Decision(reference=found, action=Action.UNCHANGED, present=present)
        manifest = await self.chosen(str(reference)) if self._platforms else None
        if manifest is not None and not reference.tag_there:
            present = await at_destination(self._route, manifest.digest)
        if manifest is not None and present is not None and present.digest == manifest.digest:
            return Decision(reference=found, action=Action.UNCHANGED, present=present, manifest=manifest)
        if present is not None and not self._override:
            exists = _tag_exists(reference, present.digest)
            return Decision(reference=found, action=Action.SKIP, present=present, failure=exists)
        return Decision(reference=found, action=Action.COPY, present=present, manifest=manifest)

    async def chosen(self, name: str) -> Manifest:
        """Return the manifest of the source as it is wanted at the destination. Raises CopyError."""
        return with_platforms(await source_manifest(self._route, name), self._platforms)

    async def subjects(self, decision: Decision) -> list[Digest]:
        """Return what of an artifact the destination has, now or after the copy, that may be referred to.

        The artifact itself is not among them when platforms were taken out of it. Raises CopyError.
        """
        subject = Digest(decision.reference.digest)
        if decision.has_no_children:
            return [subject]
        manifest = decision.manifest or await self.chosen(subject)
        children = [child.digest for child in manifest.children]
        return [subject, *children] if manifest.digest == subject else children

    async def _look_up(self, reference: ArtifactReference) -> tuple[str, Descriptor | None]:
        """Return the digest at the source, and what the destination has, asked for at the same time."""
        name, name_there = str(reference), reference.tag_there or reference.digest
        async with asyncio.TaskGroup() as group:
            there = group.create_task(at_destination(self._route, name_there))
            here = None if reference.digest else group.create_task(source_digest(self._route, name))
        wanted = here.result() if here else reference.digest
        if wanted is None:
            raise CopyError(_gone(reference))
        return wanted, there.result()


def first_failure(errors: BaseExceptionGroup[CopyError]) -> Failure:
    """Return the first cause: its siblings were cancelled, or failed of the same."""
    first: BaseException = errors
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    assert isinstance(first, CopyError)
    return first.failure


def _gone(reference: ArtifactReference) -> Failure:
    return Failure(
        reason="MANIFEST_UNKNOWN",
        message=f"Source: there is no {reference} any more.",
        side=Side.SOURCE,
        metadata={"reference": str(reference)},
    )


def _tag_exists(reference: ArtifactReference, present: str) -> Failure:
    name = reference.tag_there or reference.digest
    return Failure(
        reason="TAG_EXISTS",
        message=f"{name} exists at the destination as {present}, and the policy does not override.",
        side=Side.DESTINATION,
        metadata={"tag": reference.tag_there, "present": present},
    )
