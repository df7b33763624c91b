"""Destinations: their mappings, and that nothing is copied onto itself."""

from collections.abc import Iterator
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
_ANY: Final = {"**": "some/name", "*": "some", "?": "x"}


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
            for part, impossible in _impossible_names(destination.mapping, spec.source_id):
                yield FieldViolation(f"{field}.{part}", str(impossible), "TEMPLATE_INVALID")


def destination_mistakes(spec: PolicySpec) -> Iterator[FieldViolation]:
    """Destinations that repeat each other or the source, or put many repositories into one."""
    literals = literal_repositories(spec.filters)
    for index, destination in enumerate(spec.destinations):
        field = f"policy.destinations[{index}]"
        same = (destination.registry, destination.mapping)
        if any((each.registry, each.mapping) == same for each in spec.destinations[:index]):
            yield FieldViolation(field, "is there already, with the same mapping", "DESTINATION_DUPLICATE")
        if destination.repository and (literals is None or len(literals) != 1):
            description = "needs a name filter that is one name without wildcards"
            yield FieldViolation(f"{field}.repository", description, "NAME_NOT_LITERAL")
        if destination.registry == spec.source_registry and _copies_onto_itself(spec, destination, literals):
            description = "is the source, and the mapping changes no name; give it a namespace, or another mapping"
            yield FieldViolation(f"{field}.registry", description, "DESTINATION_IS_SOURCE")


def _reason(error: PatternInvalid) -> str:
    match error:
        case TemplateInvalid():
            return "TEMPLATE_INVALID"
        case ReplacementInvalid():
            return "REPLACEMENT_INVALID"
        case _:
            return "REGEX_INVALID"


def _impossible_names(mapping: Mapping, source_id: str) -> Iterator[tuple[str, ValueError]]:
    """Templates whose own characters are in no name or tag."""
    if mapping.template:
        try:
            mapping.map_repository(_ANY_NAMES[-1], registry=source_id)
        except MappingInvalid as invalid:
            yield "template", invalid
    try:
        mapping.map_tag(_ANY_TAG, repository=_ANY_NAMES[-1], registry=source_id)
    except MappedTagInvalid as invalid:
        yield "tag", invalid


def _copies_onto_itself(spec: PolicySpec, destination: Destination, literals: list[str] | None) -> bool:
    """Whether some repository that is named, or every one that the filters let through, keeps its name and tags."""
    mapping = destination.mapping
    if mapping.map_tag(_ANY_TAG, repository=_ANY_NAMES[-1], registry=spec.source_id) != _ANY_TAG:
        return False
    if literals is not None:
        return any(_stays(name, mapping, spec.source_id) for name in literals)
    # A rewrite keeps what it does not match; whether the filters let such names through is not known.
    names = [name for name in _examples(spec) or _ANY_NAMES if not mapping.rewrite or _matches(mapping.rewrite, name)]
    return bool(names) and all(_stays(name, mapping, spec.source_id) for name in names)


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


def _stays(repository: str, mapping: Mapping, source_id: str) -> bool:
    """Whether the mapping is known to keep the name."""
    try:
        return mapping.map_repository(repository, registry=source_id) == repository
    except (MappingInvalid, ReplaceCountTooLarge):  # told when it is replicated, as for names that are not known yet
        return False
