"""Filters and the newest tags."""

from collections.abc import Iterator

from policy_svc.domain.policy import PolicySpec
from policy_svc.domain.registry import RegistryInfo
from policy_svc.domain.rules.durations import too_long
from replication.errors import PatternInvalid
from replication.filters import MatcherMisplaced
from replication.newest import NewestInvalid
from service_kit.errors import FieldViolation


def filter_mistakes(spec: PolicySpec) -> Iterator[FieldViolation]:
    for index, rule in enumerate(spec.filters):
        kind = rule.matcher.kind
        field = f"policy.filters[{index}].{kind}"
        try:
            rule.compile()
        except MatcherMisplaced as misplaced:
            yield FieldViolation(field, str(misplaced), "MATCHER_MISPLACED")
        except PatternInvalid as invalid:
            yield FieldViolation(field, str(invalid), f"{kind.upper()}_INVALID")


def newest_mistakes(spec: PolicySpec) -> Iterator[FieldViolation]:
    if spec.newest is None:
        return
    try:
        spec.newest.check()
    except NewestInvalid as invalid:
        yield FieldViolation(f"policy.newest.{invalid.field}", str(invalid), "NEWEST_IMPOSSIBLE")
    else:
        if spec.newest.min_count and spec.newest.max_age is None:
            description = "keeps tags whatever their age, and there is no age; set max_age, or leave it unset"
            yield FieldViolation("policy.newest.min_count", description, "NEWEST_IMPOSSIBLE")
    yield from too_long("policy.newest.max_age", spec.newest.max_age)


def unsupported_dimensions(spec: PolicySpec, info: RegistryInfo) -> Iterator[FieldViolation]:
    for index, rule in enumerate(spec.filters):
        if rule.dimension not in info.filter_dimensions:
            yield FieldViolation(
                f"policy.filters[{index}].dimension",
                f"{spec.source_registry} cannot be filtered by {rule.dimension}; "
                f"it can by {', '.join(sorted(info.filter_dimensions))}",
                "DIMENSION_UNSUPPORTED",
            )
