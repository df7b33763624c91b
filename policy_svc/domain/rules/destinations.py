"""Destinations: their mappings, and that nothing is copied onto itself."""

from collections.abc import Callable, Iterator
from typing import Final

from policy_svc.domain.policy import Destination, PolicySpec
from replication.errors import PatternInvalid
from replication.filters import Action, Dimension, Selection, literal_repositories
from replication.mapping import MappedTagInvalid, Mapping, MappingInvalid, ReplaceCountTooLarge
from replication.matchers import Glob, Regex
from replication.names import is_repository_name
from replication.rewriting import RegexRewrite, ReplacementInvalid
from replication.templates import TemplateInvalid
from service_kit.errors import FieldViolation

# Stand for the names of a source that are not known: what a mapping does to all of these it does to any.
_ANY_NAMES: Final = ("some-name", "some/name", "some/other/name")
_ANY_TAG: Final = "some-tag"
# An expression with all the groups that a replacement can name, and what it matches: next to a letter, whatever a
# replacement adds to a name shows whether it can be there.
_ANY_GROUPS: Final = "(x)" * 9
_ANY_MATCH: Final = "x" * 9
_ANY: Final = {"**": "some/name", "*": "some", "?": "x"}


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
    literals = literal_repositories(spec.filters)
    for index, destination in enumerate(spec.destinations):
        field = f"policy.destinations[{index}]"
        for number, earlier in enumerate(spec.destinations[:index]):
            if place_of(earlier.registry) == place_of(destination.registry) and _are_alike(spec, earlier, destination):
                description = f"is the same place as destinations[{number}]; remove one, or give it another mapping"
                yield FieldViolation(field, description, "DESTINATION_DUPLICATE")
                break
        if destination.repository and (literals is None or len(literals) != 1):
            description = "needs a name filter that is one name without wildcards"
            yield FieldViolation(f"{field}.repository", description, "NAME_NOT_LITERAL")
        is_source = place_of(destination.registry) == place_of(spec.source_registry)
        if is_source and _copies_onto_itself(spec, destination, literals):
            what = "is the source" if destination.registry == spec.source_registry else "has the URL of the source"
            description = f"{what}, and the mapping changes no name; give it a namespace, or another mapping"
            yield FieldViolation(f"{field}.registry", description, "DESTINATION_IS_SOURCE")


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
            mapping.map_repository(_ANY_NAMES[-1], registry=source_id)
        except MappingInvalid as invalid:
            yield "template", str(invalid), "TEMPLATE_INVALID"
    if mapping.rewrite:
        sample = RegexRewrite(regex=_ANY_GROUPS, replacement=mapping.rewrite.replacement).apply(_ANY_MATCH)
        if not is_repository_name(sample):
            why = f"gives names such as {sample!r}, which no repository can have; write lower-case letters and digits"
            yield "rewrite.replacement", f"{why}, with one of . _ - / between them", "REPLACEMENT_INVALID"
    try:
        mapping.map_tag(_ANY_TAG, repository=_ANY_NAMES[-1], registry=source_id)
    except MappedTagInvalid as invalid:
        yield "tag", str(invalid), "TEMPLATE_INVALID"


def _are_alike(spec: PolicySpec, one: Destination, other: Destination) -> bool:
    """Whether both call everything that the filters let through the same."""
    if one.mapping == other.mapping:
        return True
    names = literal_repositories(spec.filters) or _names(spec, one.mapping, other.mapping)
    called = [(_called(name, one.mapping, spec), _called(name, other.mapping, spec)) for name in names]
    return bool(called) and all(first is not None and first == second for first, second in called)


def _copies_onto_itself(spec: PolicySpec, destination: Destination, literals: list[str] | None) -> bool:
    """Whether some repository that is named, or every one that the filters let through, keeps its name and tags."""
    mapping = destination.mapping
    if literals is not None:
        return any(_called(name, mapping, spec) == (name, _ANY_TAG) for name in literals)
    names = _names(spec, mapping)
    return bool(names) and all(_called(name, mapping, spec) == (name, _ANY_TAG) for name in names)


def _names(spec: PolicySpec, *mappings: Mapping) -> list[str]:
    """Names that show what the mappings do to all that the filters let through.

    A rewrite keeps what it does not match; whether the filters let such names through is not known.
    """
    rewrites = [each.rewrite for each in mappings if each.rewrite]
    return [name for name in _examples(spec) or _ANY_NAMES if all(_matches(each, name) for each in rewrites)]


def _examples(spec: PolicySpec) -> list[str]:
    """Names that the filters let through, made of the patterns that include; none when that cannot be done."""
    selection = Selection.compile(spec.filters)
    names = []
    for rule in spec.filters:
        if rule.dimension is not Dimension.NAME or rule.action is not Action.INCLUDE:
            continue
        if not isinstance(rule.matcher, Glob):
            return []
        name = rule.matcher.text
        for wildcard, text in _ANY.items():
            name = name.replace(wildcard, text)
        if not is_repository_name(name) or not selection.repository_passes(name):
            return []
        names.append(name)
    return names


def _matches(rewrite: RegexRewrite, name: str) -> bool:
    return Regex(rewrite.regex).compile()(name)


def _called(repository: str, mapping: Mapping, spec: PolicySpec) -> tuple[str, str] | None:
    """What the mapping makes of the repository and of a tag in it; None when it has no name for them."""
    try:
        return (
            mapping.map_repository(repository, registry=spec.source_id),
            mapping.map_tag(_ANY_TAG, repository=repository, registry=spec.source_id),
        )
    except (MappingInvalid, MappedTagInvalid, ReplaceCountTooLarge):  # told when it is replicated
        return None
