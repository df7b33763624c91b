import datetime

from buf.validate import validate_pb2 as _validate_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import empty_pb2 as _empty_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.type import dayofweek_pb2 as _dayofweek_pb2
from transship.type.v1 import filter_pb2 as _filter_pb2
from transship.type.v1 import selection_pb2 as _selection_pb2
from transship.type.v1 import transfer_pb2 as _transfer_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Policy(_message.Message):
    __slots__ = ("name", "uid", "description", "source_registry", "destinations", "filters", "override", "disabled", "trigger", "create_time", "update_time", "etag", "options", "newest", "backup_tag", "deletion", "overlap", "max_parallel_tasks", "windows", "retention", "next_run_time")
    class Overlap(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OVERLAP_UNSPECIFIED: _ClassVar[Policy.Overlap]
        OVERLAP_QUEUE: _ClassVar[Policy.Overlap]
        OVERLAP_SKIP: _ClassVar[Policy.Overlap]
        OVERLAP_REPLACE: _ClassVar[Policy.Overlap]
    OVERLAP_UNSPECIFIED: Policy.Overlap
    OVERLAP_QUEUE: Policy.Overlap
    OVERLAP_SKIP: Policy.Overlap
    OVERLAP_REPLACE: Policy.Overlap
    NAME_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_REGISTRY_FIELD_NUMBER: _ClassVar[int]
    DESTINATIONS_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    OVERRIDE_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    NEWEST_FIELD_NUMBER: _ClassVar[int]
    BACKUP_TAG_FIELD_NUMBER: _ClassVar[int]
    DELETION_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_FIELD_NUMBER: _ClassVar[int]
    MAX_PARALLEL_TASKS_FIELD_NUMBER: _ClassVar[int]
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    RETENTION_FIELD_NUMBER: _ClassVar[int]
    NEXT_RUN_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    uid: str
    description: str
    source_registry: str
    destinations: _containers.RepeatedCompositeFieldContainer[Destination]
    filters: _containers.RepeatedCompositeFieldContainer[_filter_pb2.Filter]
    override: bool
    disabled: bool
    trigger: Trigger
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    etag: str
    options: _transfer_pb2.TransferOptions
    newest: _filter_pb2.Newest
    backup_tag: str
    deletion: Deletion
    overlap: Policy.Overlap
    max_parallel_tasks: int
    windows: _containers.RepeatedCompositeFieldContainer[TimeWindow]
    retention: Retention
    next_run_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., uid: _Optional[str] = ..., description: _Optional[str] = ..., source_registry: _Optional[str] = ..., destinations: _Optional[_Iterable[_Union[Destination, _Mapping]]] = ..., filters: _Optional[_Iterable[_Union[_filter_pb2.Filter, _Mapping]]] = ..., override: _Optional[bool] = ..., disabled: _Optional[bool] = ..., trigger: _Optional[_Union[Trigger, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ..., options: _Optional[_Union[_transfer_pb2.TransferOptions, _Mapping]] = ..., newest: _Optional[_Union[_filter_pb2.Newest, _Mapping]] = ..., backup_tag: _Optional[str] = ..., deletion: _Optional[_Union[Deletion, _Mapping]] = ..., overlap: _Optional[_Union[Policy.Overlap, str]] = ..., max_parallel_tasks: _Optional[int] = ..., windows: _Optional[_Iterable[_Union[TimeWindow, _Mapping]]] = ..., retention: _Optional[_Union[Retention, _Mapping]] = ..., next_run_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Destination(_message.Message):
    __slots__ = ("registry", "namespace", "repository", "template", "rewrite", "replace_count", "tag")
    REGISTRY_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    REWRITE_FIELD_NUMBER: _ClassVar[int]
    REPLACE_COUNT_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    registry: str
    namespace: str
    repository: str
    template: str
    rewrite: RegexRewrite
    replace_count: int
    tag: str
    def __init__(self, registry: _Optional[str] = ..., namespace: _Optional[str] = ..., repository: _Optional[str] = ..., template: _Optional[str] = ..., rewrite: _Optional[_Union[RegexRewrite, _Mapping]] = ..., replace_count: _Optional[int] = ..., tag: _Optional[str] = ...) -> None: ...

class RegexRewrite(_message.Message):
    __slots__ = ("regex", "replacement")
    REGEX_FIELD_NUMBER: _ClassVar[int]
    REPLACEMENT_FIELD_NUMBER: _ClassVar[int]
    regex: str
    replacement: str
    def __init__(self, regex: _Optional[str] = ..., replacement: _Optional[str] = ...) -> None: ...

class Trigger(_message.Message):
    __slots__ = ("manual", "scheduled", "event")
    MANUAL_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    manual: ManualTrigger
    scheduled: ScheduledTrigger
    event: EventTrigger
    def __init__(self, manual: _Optional[_Union[ManualTrigger, _Mapping]] = ..., scheduled: _Optional[_Union[ScheduledTrigger, _Mapping]] = ..., event: _Optional[_Union[EventTrigger, _Mapping]] = ...) -> None: ...

class ManualTrigger(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ScheduledTrigger(_message.Message):
    __slots__ = ("cron", "time_zone", "jitter", "missed_runs")
    class MissedRuns(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        MISSED_RUNS_UNSPECIFIED: _ClassVar[ScheduledTrigger.MissedRuns]
        MISSED_RUNS_SKIP: _ClassVar[ScheduledTrigger.MissedRuns]
        MISSED_RUNS_RUN_ONCE: _ClassVar[ScheduledTrigger.MissedRuns]
    MISSED_RUNS_UNSPECIFIED: ScheduledTrigger.MissedRuns
    MISSED_RUNS_SKIP: ScheduledTrigger.MissedRuns
    MISSED_RUNS_RUN_ONCE: ScheduledTrigger.MissedRuns
    CRON_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    JITTER_FIELD_NUMBER: _ClassVar[int]
    MISSED_RUNS_FIELD_NUMBER: _ClassVar[int]
    cron: str
    time_zone: str
    jitter: _duration_pb2.Duration
    missed_runs: ScheduledTrigger.MissedRuns
    def __init__(self, cron: _Optional[str] = ..., time_zone: _Optional[str] = ..., jitter: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., missed_runs: _Optional[_Union[ScheduledTrigger.MissedRuns, str]] = ...) -> None: ...

class EventTrigger(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Deletion(_message.Message):
    __slots__ = ("on_event", "prune")
    ON_EVENT_FIELD_NUMBER: _ClassVar[int]
    PRUNE_FIELD_NUMBER: _ClassVar[int]
    on_event: bool
    prune: Prune
    def __init__(self, on_event: _Optional[bool] = ..., prune: _Optional[_Union[Prune, _Mapping]] = ...) -> None: ...

class Prune(_message.Message):
    __slots__ = ("max_percent", "max_tags", "grace_period")
    MAX_PERCENT_FIELD_NUMBER: _ClassVar[int]
    MAX_TAGS_FIELD_NUMBER: _ClassVar[int]
    GRACE_PERIOD_FIELD_NUMBER: _ClassVar[int]
    max_percent: int
    max_tags: int
    grace_period: _duration_pb2.Duration
    def __init__(self, max_percent: _Optional[int] = ..., max_tags: _Optional[int] = ..., grace_period: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class TimeWindow(_message.Message):
    __slots__ = ("start", "end", "days", "time_zone")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    DAYS_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    start: str
    end: str
    days: _containers.RepeatedScalarFieldContainer[_dayofweek_pb2.DayOfWeek]
    time_zone: str
    def __init__(self, start: _Optional[str] = ..., end: _Optional[str] = ..., days: _Optional[_Iterable[_Union[_dayofweek_pb2.DayOfWeek, str]]] = ..., time_zone: _Optional[str] = ...) -> None: ...

class Retention(_message.Message):
    __slots__ = ("max_count", "max_age")
    MAX_COUNT_FIELD_NUMBER: _ClassVar[int]
    MAX_AGE_FIELD_NUMBER: _ClassVar[int]
    max_count: int
    max_age: _duration_pb2.Duration
    def __init__(self, max_count: _Optional[int] = ..., max_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class CreatePolicyRequest(_message.Message):
    __slots__ = ("policy_id", "policy", "validate_only")
    POLICY_ID_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    policy_id: str
    policy: Policy
    validate_only: bool
    def __init__(self, policy_id: _Optional[str] = ..., policy: _Optional[_Union[Policy, _Mapping]] = ..., validate_only: _Optional[bool] = ...) -> None: ...

class GetPolicyRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListPoliciesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "registry")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    registry: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., registry: _Optional[str] = ...) -> None: ...

class ListPoliciesResponse(_message.Message):
    __slots__ = ("policies", "next_page_token")
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    policies: _containers.RepeatedCompositeFieldContainer[Policy]
    next_page_token: str
    def __init__(self, policies: _Optional[_Iterable[_Union[Policy, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdatePolicyRequest(_message.Message):
    __slots__ = ("policy", "update_mask")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    policy: Policy
    update_mask: _field_mask_pb2.FieldMask
    def __init__(self, policy: _Optional[_Union[Policy, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ...) -> None: ...

class DeletePolicyRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class TestPolicyRequest(_message.Message):
    __slots__ = ("policy", "inline_policy", "candidates", "include_rejected")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    INLINE_POLICY_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_REJECTED_FIELD_NUMBER: _ClassVar[int]
    policy: str
    inline_policy: Policy
    candidates: _containers.RepeatedCompositeFieldContainer[Candidate]
    include_rejected: bool
    def __init__(self, policy: _Optional[str] = ..., inline_policy: _Optional[_Union[Policy, _Mapping]] = ..., candidates: _Optional[_Iterable[_Union[Candidate, _Mapping]]] = ..., include_rejected: _Optional[bool] = ...) -> None: ...

class Candidate(_message.Message):
    __slots__ = ("repository", "tag")
    REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    repository: str
    tag: str
    def __init__(self, repository: _Optional[str] = ..., tag: _Optional[str] = ...) -> None: ...

class TestPolicyResponse(_message.Message):
    __slots__ = ("matches", "rejections", "problems")
    MATCHES_FIELD_NUMBER: _ClassVar[int]
    REJECTIONS_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    matches: _containers.RepeatedCompositeFieldContainer[Match]
    rejections: _containers.RepeatedCompositeFieldContainer[_selection_pb2.Rejection]
    problems: _containers.RepeatedCompositeFieldContainer[RepositoryProblem]
    def __init__(self, matches: _Optional[_Iterable[_Union[Match, _Mapping]]] = ..., rejections: _Optional[_Iterable[_Union[_selection_pb2.Rejection, _Mapping]]] = ..., problems: _Optional[_Iterable[_Union[RepositoryProblem, _Mapping]]] = ...) -> None: ...

class Match(_message.Message):
    __slots__ = ("repository", "tag", "targets")
    REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    repository: str
    tag: str
    targets: _containers.RepeatedCompositeFieldContainer[Target]
    def __init__(self, repository: _Optional[str] = ..., tag: _Optional[str] = ..., targets: _Optional[_Iterable[_Union[Target, _Mapping]]] = ...) -> None: ...

class Target(_message.Message):
    __slots__ = ("registry", "repository", "tag", "failure")
    REGISTRY_FIELD_NUMBER: _ClassVar[int]
    REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    registry: str
    repository: str
    tag: str
    failure: _transfer_pb2.Failure
    def __init__(self, registry: _Optional[str] = ..., repository: _Optional[str] = ..., tag: _Optional[str] = ..., failure: _Optional[_Union[_transfer_pb2.Failure, _Mapping]] = ...) -> None: ...

class RepositoryProblem(_message.Message):
    __slots__ = ("repository", "failure")
    REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    repository: str
    failure: _transfer_pb2.Failure
    def __init__(self, repository: _Optional[str] = ..., failure: _Optional[_Union[_transfer_pb2.Failure, _Mapping]] = ...) -> None: ...

class PreviewScheduleRequest(_message.Message):
    __slots__ = ("policy", "schedule", "count")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    policy: str
    schedule: ScheduledTrigger
    count: int
    def __init__(self, policy: _Optional[str] = ..., schedule: _Optional[_Union[ScheduledTrigger, _Mapping]] = ..., count: _Optional[int] = ...) -> None: ...

class PreviewScheduleResponse(_message.Message):
    __slots__ = ("run_times",)
    RUN_TIMES_FIELD_NUMBER: _ClassVar[int]
    run_times: _containers.RepeatedCompositeFieldContainer[_timestamp_pb2.Timestamp]
    def __init__(self, run_times: _Optional[_Iterable[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]]] = ...) -> None: ...
