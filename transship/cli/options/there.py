"""What happens to what is at the destinations already, and how long executions are kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final

import typer

from transship.cli.amounts import parse_duration
from transship.cli.connect import Said
from transship.policy.v1.policy_pb2 import Deletion, Policy, Prune, Retention

_PANEL: Final = "At the destinations"


def _option(flag: str, metavar: str | None, described: str, *, panel: str | None = _PANEL, **beside: Any) -> Any:
    return typer.Option(flag, metavar=metavar, help=described, show_default=False, rich_help_panel=panel, **beside)


@dataclass(frozen=True)
class There:
    """Options of --help's panel."""

    override: Annotated[
        bool | None,
        _option(
            "--override/--no-override", None, "Overwrite tags that have another digest, or leave them. On unless set."
        ),
    ] = None
    backup_tag: Annotated[
        str | None,
        _option(
            "--backup-tag",
            "TEMPLATE",
            "Keep what is overwritten under a tag made of {tag}, {digest}, {date}, {time}.",
        ),
    ] = None
    delete_on_event: Annotated[
        bool | None,
        _option("--delete-on-event/--keep-on-event", None, "Delete tags whose deletion an event tells, or keep them."),
    ] = None
    prune_max_percent: Annotated[
        int | None,
        _option(
            "--prune-max-percent",
            "N",
            "Delete tags that the source has no more; but nothing at all if that is over N % of any repository.",
            min=0,
            max=100,
        ),
    ] = None
    prune_max_tags: Annotated[
        int | None, _option("--prune-max-tags", "N", "The same; but nothing at all if that is over N tags.", min=0)
    ] = None
    prune_grace: Annotated[
        timedelta | None,
        _option(
            "--prune-grace",
            "TIME",
            "But not before a tag is missing for `7d`, `12h`.",
            parser=parse_duration,
        ),
    ] = None

    def change(self, policy: Policy, _: Said) -> Iterator[str]:
        """Writes what was given into the policy, and tells which fields that changed."""
        if self.override is not None:
            policy.override = self.override
            yield "override"
        if self.backup_tag is not None:
            policy.backup_tag = self.backup_tag
            yield "backup_tag"
        if self._change_deletion(policy.deletion):
            if policy.deletion == Deletion():
                policy.ClearField("deletion")
            yield "deletion"

    def _change_deletion(self, deletion: Deletion) -> bool:
        prunes = any(each is not None for each in (self.prune_max_percent, self.prune_max_tags, self.prune_grace))
        if self.delete_on_event is not None:
            deletion.on_event = self.delete_on_event
        if prunes:
            self._change_prune(deletion.prune)
        return prunes or self.delete_on_event is not None

    def _change_prune(self, prune: Prune) -> None:
        if self.prune_max_percent is not None:
            prune.max_percent = self.prune_max_percent
        if self.prune_max_tags is not None:
            prune.max_tags = self.prune_max_tags
        if self.prune_grace is not None:
            prune.grace_period.FromTimedelta(self.prune_grace)


@dataclass(frozen=True)
class About:
    """Options of no panel: what it is for, whether it runs, and what is kept of its runs."""

    description: Annotated[
        str | None, _option("--description", "TEXT", "What it is for, at most 1,000 characters.", panel=None)
    ] = None
    disabled: Annotated[
        bool | None, _option("--disabled/--enabled", None, "Whether it can be started.", panel=None)
    ] = None
    keep: Annotated[
        int | None, _option("--keep", "N", "Keep at most so many ended executions. 0: any number.", panel=None, min=0)
    ] = None
    keep_for: Annotated[
        timedelta | None,
        _option(
            "--keep-for",
            "TIME",
            "Keep them for at most `90d`. 0: for any time.",
            panel=None,
            parser=parse_duration,
        ),
    ] = None

    def change(self, policy: Policy, _: Said) -> Iterator[str]:
        """Writes what was given into the policy, and tells which fields that changed."""
        if self.description is not None:
            policy.description = self.description
            yield "description"
        if self.disabled is not None:
            policy.disabled = self.disabled
            yield "disabled"
        if self.keep is not None:
            policy.retention.max_count = self.keep
        if self.keep_for is not None:
            policy.retention.max_age.FromTimedelta(self.keep_for)
            if not self.keep_for:
                policy.retention.ClearField("max_age")
        if self.keep is not None or self.keep_for is not None:
            if policy.retention == Retention():
                policy.ClearField("retention")
            yield "retention"
