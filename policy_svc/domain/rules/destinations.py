"""Destinations: their mappings, and that nothing is copied onto itself."""

from collections.abc import Callable, Iterator
from typing import Final

from policy_svc.domain.policy import PolicySpec
from policy_svc.domain.rules.samples import ANY_NAMES, ANY_TAG, Called, Samples, are_alike
from replication.errors import PatternInvalid
from replication.mapping import MappedTagInvalid, Mapping, MappingInvalid
from replication.names import is_repository_name
from replication.rewriting import RegexRewrite, ReplacementInvalid
from replication.templates import TemplateInvalid
from service_kit.errors import FieldViolation

# An expression with all the groups that a replacement can name, and what it matches: next to a letter, whatever a
# replacement adds to a name shows whether it can be there.
_ANY_GROUPS: Final = "(x)" * 9
_ANY_MATCH: Final = "x" * 9

PlaceOf = Callable[[str], str]  # of a registry's name; two that are one place have the same


def mapping_mistakes(spec: PolicySpec) -> Iterator[FieldViolation]:
    """Mappings that cannot be read, or give no name at all."""
    for index, destination in enumerate(spec.destinations):
        field = f"policy.destinations[{index}]"
        if destination.replace_count is not None and not destination.namespace:
            description = "says how much of the path the namespace replaces, and there is no namespace"
            yield FieldViolation(f"{field}.replace_count", description, "NAMESPACE_MISSING")
        unreadable = list(destination.mapping.mistakes())
        for part, error in unreadable:
            yield FieldViolation(f"{field}.{part}", str(error), _reason(error))
        if not unreadable:
            for part, impossible, reason in _impossible_names(destination.mapping, spec.source_id):
                yield FieldViolation(f"{field}.{part}", impossible, reason)


def destination_mistakes(spec: PolicySpec, place_of: PlaceOf) -> Iterator[FieldViolation]:
    """Destinations that repeat each other or the source, or put many repositories into one."""
    samples = Samples.of(spec)
    seen: list[tuple[str, Called]] = []
    for index, destination in enumerate(spec.destinations):
        field = f"policy.destinations[{index}]"
        place, called = place_of(destination.registry), samples.called(destination.mapping)
        for number, (other_place, other_called) in enumerate(seen):
            same = destination.mapping == spec.destinations[number].mapping or are_alike(called, other_called)
            if place == other_place and same:
                description = f"is the same place as destinations[{number}]; remove one, or give it another mapping"
                yield FieldViolation(field, description, "DESTINATION_DUPLICATE")
                break
        if destination.repository and not (samples.are_all and len(samples.names) == 1):
            description = "needs a name filter that is one name without wildcards"
            yield FieldViolation(f"{field}.repository", description, "NAME_NOT_LITERAL")
        if place == place_of(spec.source_registry) and samples.is_kept_by(called):
            what = "is the source" if destination.registry == spec.source_registry else "has the URL of the source"
            description = f"{what}, and the mapping changes no name; give it a namespace, or another mapping"
            yield FieldViolation(f"{field}.registry", description, "DESTINATION_IS_SOURCE")
        seen.append((place, called))


def _reason(error: PatternInvalid) -> str:
    match error:
        case TemplateInvalid():
            return "TEMPLATE_INVALID"
        case ReplacementInvalid():
            return "REPLACEMENT_INVALID"
        case _:
            return "REGEX_INVALID"


def _impossible_names(mapping: Mapping, source_id: str) -> Iterator[tuple[str, str, str]]:
    """Templates and replacements whose own characters are in no name or tag: the field, why, and a reason."""
    if mapping.template:
        try:
            mapping.map_repository(ANY_NAMES[-1], registry=source_id)
        except MappingInvalid as invalid:
            yield "template", str(invalid), "TEMPLATE_INVALID"
    if mapping.rewrite:
        sample = RegexRewrite(regex=_ANY_GROUPS, replacement=mapping.rewrite.replacement).apply(_ANY_MATCH)
        if not is_repository_name(sample):
            why = f"gives names such as {sample!r}, which no repository can have; write lower-case letters and digits"
            yield "rewrite.replacement", f"{why}, with one of . _ - / between them", "REPLACEMENT_INVALID"
    try:
        mapping.map_tag(ANY_TAG, repository=ANY_NAMES[-1], registry=source_id)
    except MappedTagInvalid as invalid:
        yield "tag", str(invalid), "TEMPLATE_INVALID"
