"""What `transship policy update` takes away: the lists and parts of a policy that no value of an option empties."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

import typer

from transship.cli.connect import Said
from transship.policy.v1.policy_pb2 import Policy


class Part(StrEnum):
    """Named as the options that set them."""

    DESCRIPTION = "description"
    FILTERS = "filters"
    NEWEST = "newest"
    WINDOWS = "windows"
    BACKUP_TAG = "backup-tag"
    PRUNE = "prune"
    PLATFORMS = "platforms"
    REFERRER_TYPES = "referrer-types"
    RETENTION = "retention"


_FIELDS: Final = {
    Part.DESCRIPTION: "description",
    Part.FILTERS: "filters",
    Part.NEWEST: "newest",
    Part.WINDOWS: "windows",
    Part.BACKUP_TAG: "backup_tag",
    Part.PRUNE: "deletion.prune",
    Part.PLATFORMS: "options.platforms",
    Part.REFERRER_TYPES: "options.referrer_types",
    Part.RETENTION: "retention",
}


@dataclass(frozen=True)
class Cleared:
    """Options of no panel."""

    clear: Annotated[
        list[Part] | None,
        typer.Option(
            "--clear",
            metavar="PART",
            help=f"Take this away, before what else is given is set: {', '.join(Part)}. May be given several times.",
            show_default=False,
        ),
    ] = None

    def change(self, policy: Policy, _said: Said) -> Iterator[str]:
        """Takes what was named out of the policy, and tells which fields that changed."""
        for part in self.clear or ():
            field, _, inner = _FIELDS[part].partition(".")
            outer = getattr(policy, field)
            if inner:
                outer.ClearField(inner)
            if not inner or outer == type(outer)():
                policy.ClearField(field)
            yield field
