"""A policy in words: the cells of its tables."""

from typing import Final

from transship.cli import transfer
from transship.cli.amounts import duration_text
from transship.cli.options.when import DAYS
from transship.cli.render import Columns, enum_text, last_part, time_text, yes_no
from transship.policy.v1.policy_pb2 import Destination, Policy, Prune, ScheduledTrigger, TimeWindow, Trigger
from transship.type.v1.filter_pb2 import Filter, Newest

_DIMENSIONS: Final = {
    Filter.DIMENSION_NAME: "name",
    Filter.DIMENSION_TAG: "tag",
    Filter.DIMENSION_LABEL: "label",
    Filter.DIMENSION_RESOURCE_TYPE: "type",
}


def destination_text(each: Destination) -> str:
    """`mirror/library/*`, and below what the tag becomes."""
    mapped = {
        "namespace": f"/{each.namespace}/*",
        "repository": f"/{each.repository}",
        "template": f"/{each.template}",
        "rewrite": f" s|{each.rewrite.regex}|{each.rewrite.replacement}|",
    }
    count = f" (in place of {each.replace_count})" if each.HasField("replace_count") else ""
    tag = f":{each.tag}" if each.tag else ""
    return last_part(each.registry) + mapped.get(each.WhichOneof("mapping") or "", "") + count + tag


def filter_text(each: Filter) -> str:
    """`+name:library/**`, `-tag:/.*-rc/` for a regular expression, `+tag:(>=1.2)` for a range."""
    sign = "-" if each.action == Filter.ACTION_EXCLUDE else "+"
    matchers = {"glob": each.glob, "regex": f"/{each.regex}/", "semver": f"({each.semver})"}
    matcher = matchers.get(each.WhichOneof("matcher") or "", "")
    return f"{sign}{_DIMENSIONS.get(each.dimension, '')}:{matcher}"


def trigger_text(trigger: Trigger) -> str:
    """`0 2 * * * Europe/Berlin`, `on event` or `manual`."""
    if trigger.WhichOneof("kind") == "event":
        return "on event"
    if trigger.WhichOneof("kind") != "scheduled":
        return "manual"
    schedule = trigger.scheduled
    jitter = f", up to {duration_text(schedule.jitter)} later" if duration_text(schedule.jitter) else ""
    is_made_up_for = schedule.missed_runs == ScheduledTrigger.MISSED_RUNS_RUN_ONCE
    missed = ", missed runs once" if is_made_up_for else ""
    return f"{schedule.cron} {schedule.time_zone or 'UTC'}{jitter}{missed}"


def newest_text(policy: Policy) -> str:
    """`3 by version`, or `those of 30d, by creation, but at least 2`."""
    newest = policy.newest
    parts = [str(newest.count) if newest.count else "", f"those of {duration_text(newest.max_age)}"]
    how = "creation" if newest.order == Newest.ORDER_CREATE_TIME else "version"
    amount = ", ".join(part for part in parts if part and part != "those of ")
    least = f", but at least {newest.min_count}" if newest.min_count else ""
    return f"{amount} by {how}{least}" if policy.HasField("newest") else ""


def deletion_text(policy: Policy) -> str:
    """What is deleted, a line each."""
    deletion = policy.deletion
    lines = ["by event"] if deletion.on_event else []
    return "\n".join([*lines, _prune_text(deletion.prune)] if deletion.HasField("prune") else lines) or "nothing"


def _prune_text(prune: Prune) -> str:
    guards = [
        f"{prune.max_percent} % of a repository" if prune.max_percent else "",
        f"{prune.max_tags} tags" if prune.max_tags else "",
    ]
    grace = duration_text(prune.grace_period)
    after = f", after {grace}" if grace else ""
    return f"what the source has no more, at most {' and '.join(filter(None, guards))}{after}"


def window_text(window: TimeWindow) -> str:
    """As it is written on the command line."""
    days = ",".join(DAYS[day - 1][:3].lower() for day in window.days)
    return " ".join(filter(None, (days, f"{window.start}-{window.end}", window.time_zone)))


def _retention_text(policy: Policy) -> str:
    kept = policy.retention
    parts = (f"{kept.max_count} runs" if kept.max_count else "", duration_text(kept.max_age))
    return ", ".join(filter(None, parts))


def _parallel_text(policy: Policy) -> str:
    return f"at most {policy.max_parallel_tasks} at once" if policy.max_parallel_tasks else ""


COLUMNS: Final[Columns[Policy]] = {
    "NAME": lambda each: last_part(each.name),
    "SOURCE": lambda each: last_part(each.source_registry),
    "DESTINATIONS": lambda each: " ".join(map(destination_text, each.destinations)),
    "FILTERS": lambda each: " ".join(map(filter_text, each.filters)),
    "TRIGGER": lambda each: trigger_text(each.trigger),
    "NEXT RUN": lambda each: time_text(each.next_run_time),
    "ENABLED": lambda each: yes_no(not each.disabled),
}
DETAILS: Final[Columns[Policy]] = {
    "Name": lambda each: last_part(each.name),
    "Uid": lambda each: each.uid,
    "Description": lambda each: each.description,
    "Source": lambda each: last_part(each.source_registry),
    "Destinations": lambda each: "\n".join(map(destination_text, each.destinations)),
    "Filters": lambda each: "\n".join(map(filter_text, each.filters)),
    "Newest": newest_text,
    "Trigger": lambda each: trigger_text(each.trigger),
    "Next run": lambda each: time_text(each.next_run_time),
    "Overlap": lambda each: enum_text(Policy.Overlap, each.overlap).lower(),
    "Windows": lambda each: "\n".join(map(window_text, each.windows)),
    "Tasks": _parallel_text,
    "Override": lambda each: yes_no(each.override),
    "Backup": lambda each: each.backup_tag,
    "Deletes": deletion_text,
    **transfer.DETAILS,
    "Keeps": _retention_text,
    "Enabled": lambda each: yes_no(not each.disabled),
    "Created": lambda each: time_text(each.create_time),
    "Changed": lambda each: time_text(each.update_time),
}
