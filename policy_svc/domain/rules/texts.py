"""Texts that cannot be kept."""

from collections.abc import Iterator

from policy_svc.domain.policy import PolicySpec
from policy_svc.domain.trigger import ScheduledTrigger
from service_kit.errors import FieldViolation


def character_mistakes(spec: PolicySpec) -> Iterator[FieldViolation]:
    """PostgreSQL stores no NUL, and no name, tag or type has one."""
    for field, text in _texts(spec):
        if "\0" in text:
            yield FieldViolation(field, "must not hold the character NUL", "CHARACTER_INVALID")


def _texts(spec: PolicySpec) -> Iterator[tuple[str, str]]:
    """Every text that the rules in the proto let be anything, with its field."""
    yield "policy.description", spec.description
    yield "policy.backup_tag", spec.backup_tag
    for index, rule in enumerate(spec.filters):
        yield f"policy.filters[{index}].{rule.matcher.kind}", rule.matcher.text
    for index, each in enumerate(spec.options.referrer_types):
        yield f"policy.options.referrer_types[{index}]", each
    for index, destination in enumerate(spec.destinations):
        yield f"policy.destinations[{index}].template", destination.template
        yield f"policy.destinations[{index}].tag", destination.tag
        if destination.rewrite:
            yield f"policy.destinations[{index}].rewrite.regex", destination.rewrite.regex
            yield f"policy.destinations[{index}].rewrite.replacement", destination.rewrite.replacement
    if isinstance(spec.trigger, ScheduledTrigger):
        yield "policy.trigger.scheduled.cron", spec.trigger.cron
        yield "policy.trigger.scheduled.time_zone", spec.trigger.time_zone
    for index, window in enumerate(spec.windows):
        yield f"policy.windows[{index}].time_zone", window.time_zone
