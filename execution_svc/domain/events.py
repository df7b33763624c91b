"""What the events that started an execution ask for: pure functions."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from execution_svc.domain.origin import EventOperation, EventResource
from execution_svc.domain.resource import Resource
from execution_svc.domain.transfer import Reference
from replication.filters import Action, Dimension, FilterRule, Selection
from replication.matchers import MATCHERS

_NEEDS_LISTING: Final = (Dimension.LABEL, Dimension.RESOURCE_TYPE)


def selection_of(document: Mapping[str, Any]) -> Selection:
    """The rules of a policy; `document` is the JSON form of `transship.policy.v1.Policy`."""
    return Selection.compile([_rule(each) for each in document.get("filters", ())])


def needs_listing(document: Mapping[str, Any], selection: Selection) -> bool:
    """Whether only the registry can tell which artifacts pass: by what it alone knows of them, and of others."""
    return "newest" in document or any(selection.looks_at(each) for each in _NEEDS_LISTING)


def newest_of_each(resources: Sequence[EventResource], operation: EventOperation) -> list[EventResource]:
    """What has this operation as the last one that was told of it."""
    last = {(each.repository, each.tag or each.digest): each for each in resources}
    return [each for each in last.values() if each.operation is operation]


def pushed(resources: Sequence[EventResource], selection: Selection | None) -> list[Resource]:
    """What was pushed and passes, by repository; without a selection, all of it.

    A tag goes without the digest that the event told: it may have moved since, and events may come late.
    """
    found: dict[str, list[Reference]] = {}
    for each in newest_of_each(resources, EventOperation.PUSH):
        if selection is None or (selection.repository_passes(each.repository) and selection.tag_passes(each.tag)):
            reference = Reference(tag=each.tag) if each.tag else Reference(digest=each.digest)
            found.setdefault(each.repository, []).append(reference)
    return [Resource(repository=name, references=tuple(references)) for name, references in found.items()]


def deleted(resources: Sequence[EventResource], selection: Selection) -> list[EventResource]:
    """What was deleted and passes, as far as names tell; what was deleted by its digest has no tag to look at."""
    return [
        each
        for each in newest_of_each(resources, EventOperation.DELETE)
        if selection.repository_passes(each.repository) and (not each.tag or selection.tag_passes(each.tag))
    ]


def _rule(document: Mapping[str, Any]) -> FilterRule:
    kind = next(each for each in MATCHERS if each in document)
    excludes = document.get("action") == "ACTION_EXCLUDE"
    return FilterRule(
        dimension=Dimension[document["dimension"].removeprefix("DIMENSION_")],
        action=Action.EXCLUDE if excludes else Action.INCLUDE,
        matcher=MATCHERS[kind](document[kind]),
    )
