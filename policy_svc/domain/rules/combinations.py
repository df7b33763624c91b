"""Deletion, retention and limits: settings that say nothing, or that other ones rule out."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from policy_svc.domain.policy import Overlap, PolicySpec
from policy_svc.domain.rules.durations import too_long
from policy_svc.domain.trigger import EventTrigger
from replication.mapping import BACKUP_TAG_NAMES, MappedTagInvalid, backup_tag
from replication.templates import TemplateInvalid, check_template
from service_kit.errors import FieldViolation

# Any will do: they show whether a template can give a tag at all.
_A_TAG: Final = "v1"
_A_DIGEST: Final = f"sha256:{'0' * 64}"
_ANOTHER_TAG: Final = "v2"
_ANOTHER_DIGEST: Final = f"sha256:{'1' * 64}"
_A_TIME: Final = datetime(2026, 1, 1, tzinfo=UTC)


def deletion_mistakes(spec: PolicySpec) -> Iterator[FieldViolation]:
    if spec.deletion is None:
        return
    if spec.deletion.on_event and not isinstance(spec.trigger, EventTrigger):
        description = "needs an event trigger: nothing else tells of deletions; prune finds them by comparison"
        yield FieldViolation("policy.deletion.on_event", description, "EVENT_TRIGGER_MISSING")
    if prune := spec.deletion.prune:
        if not prune.max_percent and not prune.max_tags:
            description = "needs a guard, so that a source that is empty by mistake empties nothing: set max_percent"
            yield FieldViolation("policy.deletion.prune", f"{description} or max_tags", "GUARD_MISSING")
        yield from too_long("policy.deletion.prune.grace_period", prune.grace_period)


def retention_mistakes(spec: PolicySpec) -> Iterator[FieldViolation]:
    if spec.retention is None:
        return
    if not spec.retention.max_count and spec.retention.max_age is None:
        description = "says nothing; set max_count or max_age, or leave it unset"
        yield FieldViolation("policy.retention", description, "RETENTION_EMPTY")
    yield from too_long("policy.retention.max_age", spec.retention.max_age)


def limit_mistakes(spec: PolicySpec) -> Iterator[FieldViolation]:
    if spec.overlap is Overlap.SKIP and isinstance(spec.trigger, EventTrigger):
        description = "loses what the events of a skipped run tell; with an event trigger, runs wait for one another"
        yield FieldViolation("policy.overlap", description, "OVERLAP_LOSES_EVENTS")
    if spec.backup_tag and not spec.override:
        description = "needs override: nothing is overwritten without it, so there is nothing to keep"
        yield FieldViolation("policy.backup_tag", description, "OVERRIDE_MISSING")
    if spec.backup_tag:
        try:
            check_template(spec.backup_tag, BACKUP_TAG_NAMES)
            backup_tag(spec.backup_tag, tag=_A_TAG, digest=_A_DIGEST, now=_A_TIME)
        except TemplateInvalid as invalid:
            yield FieldViolation("policy.backup_tag", str(invalid), "TEMPLATE_INVALID")
        except MappedTagInvalid as invalid:
            description = f"gives what cannot be a backup: {invalid}; write it such as {{tag}}-before-{{date}}"
            yield FieldViolation("policy.backup_tag", description, "TEMPLATE_INVALID")
        else:
            if not _tells_apart(spec.backup_tag):
                description = "names neither {tag} nor {digest}: the backup of one tag would overwrite that of another"
                yield FieldViolation("policy.backup_tag", description, "TEMPLATE_INVALID")
    if spec.options.referrer_types and not spec.options.referrers:
        description = "says which referrers, and none are copied; set referrers, or leave it empty"
        yield FieldViolation("policy.options.referrer_types", description, "REFERRERS_MISSING")


def _tells_apart(template: str) -> bool:
    """Whether two tags with different contents have different backups."""
    one, other = (
        backup_tag(template, tag=tag, digest=digest, now=_A_TIME)
        for tag, digest in ((_A_TAG, _A_DIGEST), (_ANOTHER_TAG, _ANOTHER_DIGEST))
    )
    return one != other
