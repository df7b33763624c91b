"""What makes a policy sound, beyond what the rules in the proto can say. Each mistake names its field."""

from collections.abc import Iterator

from policy_svc.domain.policy import Destination, PolicySpec
from replication.errors import PatternInvalid
from replication.filters import Dimension, literal_repositories
from replication.mapping import Mapping, MappingInvalid
from service_kit.errors import FieldViolation, InvalidRequest


def check_texts(spec: PolicySpec) -> None:
    """Raises InvalidRequest when a text cannot be kept or a filter cannot be used."""
    if violations := [*_characters(spec), *_matchers(spec)]:
        raise InvalidRequest(violations=violations)


def check_destinations(spec: PolicySpec) -> None:
    """Raises InvalidRequest when destinations repeat each other or the source; registries go by their true names."""
    repositories = literal_repositories(spec.filters)
    violations = [
        violation for index in range(len(spec.destinations)) for violation in _destination(spec, index, repositories)
    ]
    if violations:
        raise InvalidRequest(violations=violations)


def check_dimensions(spec: PolicySpec, supported: frozenset[Dimension]) -> None:
    """Raises InvalidRequest when the source cannot be filtered as the policy asks."""
    violations = [
        FieldViolation(
            f"policy.filters[{index}].dimension",
            f"{spec.source_registry} cannot be filtered by {rule.dimension}",
            "DIMENSION_UNSUPPORTED",
        )
        for index, rule in enumerate(spec.filters)
        if rule.dimension not in supported
    ]
    if violations:
        raise InvalidRequest(violations=violations)


def _characters(spec: PolicySpec) -> Iterator[FieldViolation]:
    """PostgreSQL stores no NUL, and no name, tag or type has one."""
    texts = {"policy.description": spec.description}
    texts |= {
        f"policy.filters[{index}].{rule.matcher.kind}": rule.matcher.text for index, rule in enumerate(spec.filters)
    }
    texts |= {f"policy.options.referrer_types[{index}]": each for index, each in enumerate(spec.options.referrer_types)}
    for field, text in texts.items():
        if "\0" in text:
            yield FieldViolation(field, "must not hold the character NUL", "CHARACTER_INVALID")


def _matchers(spec: PolicySpec) -> Iterator[FieldViolation]:
    for index, rule in enumerate(spec.filters):
        try:
            rule.compile()
        except PatternInvalid as invalid:
            kind = rule.matcher.kind
            yield FieldViolation(f"policy.filters[{index}].{kind}", str(invalid), f"{kind.upper()}_INVALID")


def _destination(spec: PolicySpec, index: int, repositories: list[str] | None) -> Iterator[FieldViolation]:
    destination = spec.destinations[index]
    field = f"policy.destinations[{index}]"
    if destination in spec.destinations[:index]:
        yield FieldViolation(field, "is there already, with the same mapping", "DESTINATION_DUPLICATE")
    if destination.repository is not None and (repositories is None or len(repositories) != 1):
        description = "needs a name filter that is one name without wildcards"
        yield FieldViolation(f"{field}.repository", description, "NAME_NOT_LITERAL")
    if destination.registry == spec.source_registry and _copies_onto_itself(destination, repositories):
        description = "is the source, and the mapping changes no name"
        yield FieldViolation(f"{field}.registry", description, "DESTINATION_IS_SOURCE")


def _copies_onto_itself(destination: Destination, repositories: list[str] | None) -> bool:
    return destination.keeps_names or any(_stays(repository, destination) for repository in repositories or ())


def _stays(repository: str, destination: Destination) -> bool:
    try:
        mapping = Mapping(namespace=destination.namespace or "", repository=destination.repository or "")
        mapped = mapping.map_repository(repository, registry="")
    except MappingInvalid:  # told when it is replicated, as for names that are not known yet
        return False
    return mapped == repository
