"""What of one repository is replicated: the rules on its artifacts, and the newest of them."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from typing import Final

from oci_client.errors import InvalidReference, NotFound, OciError, UnexpectedAnswer
from oci_client.reference import Tag
from registry_svc.adapters.base import Listing, Query, Reference, Rejected, RepositoryFailure, Resource
from registry_svc.adapters.batches import BATCH_REFERENCES, Put
from registry_svc.adapters.border import repository_failure
from registry_svc.adapters.source import Artifact, Repository, Source
from replication.newest import DatedTag, Newest, Order, keep_newest
from replication.rejection import Rejection

MAX_LOOK_UPS: Final = 20  # references of a repository that are asked for one by one; for more, its list is cheaper
DATING_WORKERS: Final = 8  # of one repository; how many ask at once in a whole listing is bounded besides

Within = frozenset[str] | None
"""Tags and digests that are looked at; None for all."""


class RepositoryListing:
    """Lists one repository."""

    def __init__(
        self,
        source: Source,
        query: Query,
        repository: Repository,
        within: Within,
        dating: asyncio.Semaphore,
        put: Put,
    ) -> None:
        self._source = source
        self._query = query
        self._repository = repository
        self._within = within
        self._dating = dating
        self._put = put
        self._held: list[DatedTag] = []  # until all are known of which the newest are wanted
        self._bad_tags = 0

    async def run(self, *, now: datetime, must_exist: bool) -> None:
        """Puts out what is found, and a failure of the repository in place of what cannot be."""
        try:
            await self._read()
            if self._query.newest:
                await self._put_newest(self._query.newest, now)
        except NotFound as error:
            # An empty repository, which some registries do not know any more, or one that has gone since.
            if must_exist:
                await self._put_failure(error)
        except OciError as error:
            await self._put_failure(error)
        if self._bad_tags:
            await self._put_failure(UnexpectedAnswer(f"{self._bad_tags} of its tags are not tags at all"))

    async def _read(self) -> None:
        name = self._repository.name
        if self._within is not None and not self._query.newest and len(self._within) <= MAX_LOOK_UPS:
            # A tag and a digest may stand for the same.
            found: dict[str, Artifact] = {}
            for reference in sorted(self._within):
                found |= {each.key: each for each in await self._source.look_up(name, reference)}
            await self._take(list(found.values()))
            return
        async with aclosing(self._source.artifacts(name)) as pages:
            async for page in pages:
                for start in range(0, len(page), BATCH_REFERENCES):
                    await self._take(page[start : start + BATCH_REFERENCES])

    async def _take(self, artifacts: Sequence[Artifact]) -> None:
        passing: list[Artifact] = []
        rejections: list[Rejected] = []
        # The newest of a repository are found among all of its artifacts, whatever is looked at.
        for each in artifacts if self._query.newest else filter(self._is_within, artifacts):
            why = self._reject(each)
            if why and self._is_within(each):
                rejections.append(self._rejected(each.tag, why))
            elif not why and not _has_name(each):
                self._bad_tags += 1
            elif not why:
                passing.append(each)
        if self._query.newest:
            self._held += [DatedTag(tag=each.tag, digest=each.digest, create_time=each.create_time) for each in passing]
            passing = []
        await self._put_found([Reference(tag=each.tag, digest=each.digest) for each in passing], rejections)

    def _reject(self, artifact: Artifact) -> Rejection | None:
        selection = self._query.selection
        return (
            selection.reject_tag(artifact.tag)
            or selection.reject_resource_type(artifact.resource_type)
            or selection.reject_labels(artifact.labels)
        )

    async def _put_newest(self, newest: Newest, now: datetime) -> None:
        """Ranks the whole repository; told is only what is to be looked at."""
        tags = await self._dated() if newest.order is Order.CREATE_TIME else self._held
        kept, rejections = await asyncio.to_thread(keep_newest, tags, newest, now)
        for start in range(0, max(len(kept), len(rejections)), BATCH_REFERENCES):
            end = start + BATCH_REFERENCES
            await self._put_found(
                [Reference(tag=each.tag, digest=each.digest) for each in kept[start:end] if self._is_within(each)],
                [self._rejected(each.tag, why) for each, why in rejections[start:end] if self._is_within(each)],
            )

    async def _dated(self) -> list[DatedTag]:
        """All whose time of creation is known, or is told by nobody. A failure tells of those that cannot be ranked."""
        dated = [each for each in self._held if each.create_time]
        undated = iter([each for each in self._held if not each.create_time])
        failed: list[tuple[str, OciError]] = []
        async with asyncio.TaskGroup() as group:
            for _ in range(DATING_WORKERS):
                group.create_task(self._date(undated, dated, failed))
        if failed:
            tag, error = min(failed, key=lambda each: each[0])
            message = f"the time of creation of {len(failed)} of its tags is not known, such as {tag}: {error}"
            await self._put_failure(error, message)
        return dated

    async def _date(
        self, undated: Iterable[DatedTag], dated: list[DatedTag], failed: list[tuple[str, OciError]]
    ) -> None:
        for each in undated:
            async with self._dating:
                try:
                    found = await self._source.dated(self._repository.name, each)
                except OciError as error:
                    failed.append((each.tag or each.digest, error))
                else:
                    dated += [found] if found else []

    def _is_within(self, artifact: Artifact | DatedTag) -> bool:
        return self._within is None or artifact.tag in self._within or artifact.digest in self._within

    def _rejected(self, tag: str, why: Rejection) -> Rejected:
        return Rejected(repository=self._repository.name, tag=tag, why=why)

    async def _put_found(self, references: Sequence[Reference], rejections: Sequence[Rejected]) -> None:
        resources: tuple[Resource, ...] = ()
        if references:
            name, public = self._repository.name, self._repository.public
            resources = (Resource(repository=name, references=tuple(references), public=public),)
        told = tuple(rejections) if self._query.include_rejected else ()
        if resources or told:
            await self._put(Listing(resources=resources, rejections=told))

    async def _put_failure(self, error: OciError, message: str = "") -> None:
        failed = repository_failure(self._repository.name, error)
        if message:
            failed = RepositoryFailure(repository=failed.repository, failure=replace(failed.failure, message=message))
        await self._put(Listing(failures=(failed,)))


def _has_name(artifact: Artifact) -> bool:
    """Whether it can be asked for, by a tag that is one or by a digest alone."""
    if artifact.digest and not artifact.tag:
        return True
    try:
        Tag.parse(artifact.tag)
    except InvalidReference:
        return False
    return True
