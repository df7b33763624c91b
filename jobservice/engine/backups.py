"""Keeps what a tag of the destination stood for, before the tag is overwritten.

That it is about to be overwritten, and with what, is stored before. So an attempt that comes after a crash knows the
job's own write, and neither keeps that in place of what was there nor forgets under which tag it did so.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from jobservice.engine.endpoint import retried
from jobservice.engine.errors import CopyError, failing_at
from jobservice.engine.lookups import at_destination
from jobservice.engine.ports import Log
from jobservice.engine.transfer import Route
from jobservice.transfer import Failure, Side
from replication.mapping import backup_tag


def _utc_now() -> datetime:
    return datetime.now(UTC)


class BackupTags:
    """Names the tags of backups by a template."""

    def __init__(self, template: str, *, repository: str, now: Callable[[], datetime] = _utc_now) -> None:
        self._template = template
        self._repository = repository
        self._now = now

    def name(self, tag: str, digest: str) -> str:
        """Return the tag under which is kept what `tag` stands for. Raises CopyError when the template gives none."""
        try:
            return backup_tag(self._template, tag=tag, digest=digest, now=self._now())
        except ValueError as error:
            raise CopyError(
                Failure(
                    reason="MAPPING_INVALID",
                    message=f"Destination: what {tag} stands for cannot be kept, so it is not overwritten: {error}.",
                    side=Side.DESTINATION,
                    metadata={"repository": self._repository, "tag": tag},
                )
            ) from error


class TagBackup:
    """Puts manifests of the destination under other tags there; no blob moves for that."""

    def __init__(self, route: Route, tags: BackupTags, *, log: Log) -> None:
        self._route = route
        self._tags = tags
        self._log = log

    async def keep(self, tag: str, digest: str) -> str:
        """Return the tag under which `digest` is kept; what was kept there before gives way. Raises CopyError."""
        name = self._tags.name(tag, digest)
        there = await at_destination(self._route, name)
        if there is None or there.digest != digest:
            client, repository = self._route.destination.client, self._route.destination_repository
            with failing_at(Side.DESTINATION, reference=name):
                manifest = await retried(lambda: client.get_manifest(repository, digest))
                await retried(lambda: client.put_manifest(repository, name, manifest))
            self._log.info("overwritten tag kept", tag=tag, backup_tag=name, digest=digest)
        return name
