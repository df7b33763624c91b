"""What is replicated: filters in their order, and the newest of what they let through."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Final

import typer

from transship.cli.amounts import parse_duration
from transship.cli.connect import Said
from transship.policy.v1.policy_pb2 import Policy
from transship.type.v1.filter_pb2 import Filter, Newest

_PANEL: Final = "What"
_FILTERS: Final = {
    "name_glob": (Filter.DIMENSION_NAME, "glob"),
    "name_regex": (Filter.DIMENSION_NAME, "regex"),
    "tag_glob": (Filter.DIMENSION_TAG, "glob"),
    "tag_regex": (Filter.DIMENSION_TAG, "regex"),
    "semver": (Filter.DIMENSION_TAG, "semver"),
    "label_glob": (Filter.DIMENSION_LABEL, "glob"),
    "type_glob": (Filter.DIMENSION_RESOURCE_TYPE, "glob"),
}
_EXCLUDE: Final = "exclude_"


class NewestBy(StrEnum):
    """What newer means."""

    SEMVER = "semver"
    CREATED = "created"


_ORDERS: Final = {NewestBy.SEMVER: Newest.ORDER_SEMVER, NewestBy.CREATED: Newest.ORDER_CREATE_TIME}


def _option(flag: str, metavar: str | None, described: str, **beside: Any) -> Any:
    return typer.Option(flag, metavar=metavar, help=described, show_default=False, rich_help_panel=_PANEL, **beside)


_Rules = list[str] | None


@dataclass(frozen=True)
class What:
    """Options of --help's panel. The rules come from the command line's order, not from these fields."""

    name_glob: Annotated[_Rules, _option("--name", "GLOB", "Repositories such as `library/**`.")] = None
    exclude_name_glob: Annotated[_Rules, _option("--exclude-name", "GLOB", "But not these repositories.")] = None
    name_regex: Annotated[_Rules, _option("--name-regex", "REGEX", "Repositories, by a whole name.")] = None
    exclude_name_regex: Annotated[_Rules, _option("--exclude-name-regex", "REGEX", "But not these.")] = None
    tag_glob: Annotated[_Rules, _option("--tag", "GLOB", "Tags such as `1.*`.")] = None
    exclude_tag_glob: Annotated[_Rules, _option("--exclude-tag", "GLOB", "But not these tags.")] = None
    tag_regex: Annotated[_Rules, _option("--tag-regex", "REGEX", r"Tags, by a whole tag: `\d+\.\d+`.")] = None
    exclude_tag_regex: Annotated[_Rules, _option("--exclude-tag-regex", "REGEX", "But not these tags.")] = None
    semver: Annotated[_Rules, _option("--semver", "RANGE", "Tags in a range of versions: `>=1.2 <2`, `~1.4`.")] = None
    exclude_semver: Annotated[_Rules, _option("--exclude-semver", "RANGE", "But not these versions.")] = None
    label_glob: Annotated[_Rules, _option("--label", "GLOB", "Artifacts that have such a label.")] = None
    exclude_label_glob: Annotated[_Rules, _option("--exclude-label", "GLOB", "But none that has this label.")] = None
    type_glob: Annotated[_Rules, _option("--type", "GLOB", "Artifacts that are an `image`, a `chart` and so on.")] = (
        None
    )
    exclude_type_glob: Annotated[_Rules, _option("--exclude-type", "GLOB", "But none of this type.")] = None
    newest: Annotated[
        int | None,
        _option("--newest", "N", "Only so many tags of each repository, the newest. 0: any number.", min=0),
    ] = None
    newest_by: Annotated[
        NewestBy | None, _option("--newest-by", None, "What newer means. Default: the higher version.")
    ] = None
    newest_max_age: Annotated[
        timedelta | None,
        _option(
            "--newest-max-age",
            "TIME",
            "Only tags created in the last `30d`, `12h`. 0: of any age.",
            parser=parse_duration,
        ),
    ] = None
    newest_min: Annotated[
        int | None, _option("--newest-min", "N", "But so many of them whatever their age.", min=0)
    ] = None

    def change(self, policy: Policy, said: Said) -> Iterator[str]:
        """Writes what was given into the policy, and tells which fields that changed."""
        filters = list(_filters(said))
        if filters:
            del policy.filters[:]
            policy.filters.extend(filters)
            yield "filters"
        if {self.newest, self.newest_by, self.newest_max_age, self.newest_min} != {None}:
            self._change_newest(policy)
            yield "newest"

    def _change_newest(self, policy: Policy) -> None:
        newest = policy.newest
        if self.newest is not None:
            newest.count = self.newest
        if self.newest_max_age is not None:
            newest.max_age.FromTimedelta(self.newest_max_age)
            if not self.newest_max_age:
                newest.ClearField("max_age")
                newest.ClearField("min_count")  # which is nothing without an age
        is_lifted = self.newest == 0 or self.newest_max_age == timedelta()
        if is_lifted and not newest.count and not newest.HasField("max_age"):
            policy.ClearField("newest")
            return
        if self.newest_min is not None:
            newest.min_count = self.newest_min
        if self.newest_by is not None:
            newest.order = _ORDERS[self.newest_by]
        elif newest.HasField("max_age"):
            newest.order = Newest.ORDER_CREATE_TIME
        elif newest.order == Newest.ORDER_UNSPECIFIED:
            newest.order = Newest.ORDER_SEMVER


def _filters(said: Said) -> Iterator[Filter]:
    """As they stand on the command line: the last rule that matches decides."""
    for name, value in said:
        if found := _FILTERS.get(name.removeprefix(_EXCLUDE)):
            dimension, matcher = found
            action = Filter.ACTION_EXCLUDE if name.startswith(_EXCLUDE) else Filter.ACTION_INCLUDE
            yield Filter(dimension=dimension, action=action, **{matcher: value})
