"""What the events that started an execution ask for: pure functions."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from execution_svc.domain.origin import EventOperation, EventResource
from execution_svc.domain.resource import Resource
from execution_svc.domain.transfer import Reference
from execution_svc.domain.written import Artifact
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


def artifact(resource: EventResource) -> Artifact:
    return Artifact(repository=resource.repository, tag=resource.tag, digest=resource.digest)


def pushed(
    resources: Sequence[EventResource], document: Mapping[str, Any], selection: Selection
) -> tuple[list[Resource], list[Resource]]:
    """What was pushed and passes, by repository; and what may pass, which only the registry can tell.

    What was pushed by its digest alone is seldom an artifact by itself: most are parts of an image, or signatures, and
    go with the tag that they belong to. A tag goes without the digest that the event told: it may have moved since, and
    events may come late.
    """
    sure: dict[str, list[Reference]] = {}
    unsure: dict[str, list[Reference]] = {}
    is_unsure = needs_listing(document, selection)
    takes_attached = _takes_attached(document, selection)
    for each in newest_of_each(resources, EventOperation.PUSH):
        if selection.repository_passes(each.repository) and selection.tag_passes(each.tag):
            reference = Reference(tag=each.tag) if each.tag else Reference(digest=each.digest)
            is_sure = not is_unsure and (each.tag or takes_attached)
            (sure if is_sure else unsure).setdefault(each.repository, []).append(reference)
    return _resources(sure), _resources(unsure)


def deleted(resources: Sequence[EventResource], selection: Selection) -> list[EventResource]:
    """What was deleted and passes, as far as names tell; what was deleted by its digest has no tag to look at."""
    return [
        each
        for each in newest_of_each(resources, EventOperation.DELETE)
        if selection.repository_passes(each.repository) and (not each.tag or selection.tag_passes(each.tag))
    ]


def _takes_attached(document: Mapping[str, Any], selection: Selection) -> bool:
    """Whether all parts of images, and all that refers to them, pass like everything else."""
    options = document.get("options", {})
    narrowed = options.get("platforms") or options.get("referrer_types") or selection.looks_at(Dimension.TAG)
    return bool(options.get("referrers")) and not narrowed


def _resources(found: Mapping[str, Sequence[Reference]]) -> list[Resource]:
    return [Resource(repository=name, references=tuple(references)) for name, references in found.items()]


def _rule(document: Mapping[str, Any]) -> FilterRule:
    kind = next(each for each in MATCHERS if each in document)
    excludes = document.get("action") == "ACTION_EXCLUDE"
    return FilterRule(
        dimension=Dimension[document["dimension"].removeprefix("DIMENSION_")],
        action=Action.EXCLUDE if excludes else Action.INCLUDE,
        matcher=MATCHERS[kind](document[kind]),
    )
