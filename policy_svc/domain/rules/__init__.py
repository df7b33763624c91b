"""What makes a policy sound, beyond what the rules in the proto can say. Each mistake names its field."""

from collections.abc import Iterable, Mapping

from policy_svc.domain.policy import PolicySpec
from policy_svc.domain.registry import RegistryInfo
from policy_svc.domain.rules.combinations import deletion_mistakes, limit_mistakes, retention_mistakes
from policy_svc.domain.rules.destinations import destination_mistakes, mapping_mistakes
from policy_svc.domain.rules.selection import filter_mistakes, newest_mistakes, unsupported_dimensions
from policy_svc.domain.rules.texts import character_mistakes
from policy_svc.domain.rules.timing import schedule_mistakes, trigger_mistakes, unsupported_trigger, window_mistakes
from policy_svc.domain.trigger import ScheduledTrigger
from service_kit.errors import FieldViolation, InvalidRequest

__all__ = ["check_destinations", "check_schedule", "check_source", "check_spec"]


def check_spec(spec: PolicySpec, *, fast_schedules: bool = False) -> None:
    """Raises InvalidRequest when what the policy says by itself is wrong.

    With `fast_schedules` a schedule may run every minute or more often.
    """
    _refuse(character_mistakes(spec))  # of a text that cannot be kept, nothing else is told
    _refuse(
        [
            *filter_mistakes(spec),
            *newest_mistakes(spec),
            *mapping_mistakes(spec),
            *trigger_mistakes(spec, fast_schedules=fast_schedules),
            *window_mistakes(spec),
            *deletion_mistakes(spec),
            *retention_mistakes(spec),
            *limit_mistakes(spec),
        ]
    )


def check_schedule(trigger: ScheduledTrigger, *, fast_schedules: bool = False) -> None:
    """Raises InvalidRequest when the schedule, which the request has as `schedule`, is wrong."""
    _refuse(schedule_mistakes(trigger, "schedule", fast_schedules=fast_schedules))


def check_destinations(spec: PolicySpec, urls: Mapping[str, str]) -> None:
    """Raises InvalidRequest when destinations repeat each other or the source.

    Registries go by their true names; those with one URL are one place.
    """
    _refuse(destination_mistakes(spec, lambda name: urls.get(name, name)))


def check_source(spec: PolicySpec, info: RegistryInfo) -> None:
    """Raises InvalidRequest when the source cannot do what the policy asks of it."""
    _refuse([*unsupported_dimensions(spec, info), *unsupported_trigger(spec, info)])


def _refuse(mistakes: Iterable[FieldViolation]) -> None:
    if violations := list(mistakes):
        raise InvalidRequest(violations=violations)
