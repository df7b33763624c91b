import datetime

from buf.validate import validate_pb2 as _validate_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from transship.execution.v1 import task_pb2 as _task_pb2
from transship.policy.v1 import policy_pb2 as _policy_pb2
from transship.type.v1 import transfer_pb2 as _transfer_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Execution(_message.Message):
    __slots__ = ("name", "policy", "policy_snapshot", "trigger", "state", "state_message", "failure", "task_counts", "progress", "listing_complete", "create_time", "start_time", "end_time", "started_by", "event_resources", "bytes_per_second", "remaining_duration")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Execution.State]
        STATE_PENDING: _ClassVar[Execution.State]
        STATE_RUNNING: _ClassVar[Execution.State]
        STATE_STOPPING: _ClassVar[Execution.State]
        STATE_SUCCEEDED: _ClassVar[Execution.State]
        STATE_FAILED: _ClassVar[Execution.State]
        STATE_STOPPED: _ClassVar[Execution.State]
        STATE_SKIPPED: _ClassVar[Execution.State]
    STATE_UNSPECIFIED: Execution.State
    STATE_PENDING: Execution.State
    STATE_RUNNING: Execution.State
    STATE_STOPPING: Execution.State
    STATE_SUCCEEDED: Execution.State
    STATE_FAILED: Execution.State
    STATE_STOPPED: Execution.State
    STATE_SKIPPED: Execution.State
    class Trigger(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TRIGGER_UNSPECIFIED: _ClassVar[Execution.Trigger]
        TRIGGER_MANUAL: _ClassVar[Execution.Trigger]
        TRIGGER_SCHEDULED: _ClassVar[Execution.Trigger]
        TRIGGER_EVENT: _ClassVar[Execution.Trigger]
    TRIGGER_UNSPECIFIED: Execution.Trigger
    TRIGGER_MANUAL: Execution.Trigger
    TRIGGER_SCHEDULED: Execution.Trigger
    TRIGGER_EVENT: Execution.Trigger
    NAME_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    POLICY_SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STATE_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    TASK_COUNTS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    LISTING_COMPLETE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    STARTED_BY_FIELD_NUMBER: _ClassVar[int]
    EVENT_RESOURCES_FIELD_NUMBER: _ClassVar[int]
    BYTES_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    REMAINING_DURATION_FIELD_NUMBER: _ClassVar[int]
    name: str
    policy: str
    policy_snapshot: _policy_pb2.Policy
    trigger: Execution.Trigger
    state: Execution.State
    state_message: str
    failure: _transfer_pb2.Failure
    task_counts: TaskCounts
    progress: _transfer_pb2.TransferProgress
    listing_complete: bool
    create_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    started_by: str
    event_resources: _containers.RepeatedCompositeFieldContainer[EventResource]
    bytes_per_second: int
    remaining_duration: _duration_pb2.Duration
    def __init__(self, name: _Optional[str] = ..., policy: _Optional[str] = ..., policy_snapshot: _Optional[_Union[_policy_pb2.Policy, _Mapping]] = ..., trigger: _Optional[_Union[Execution.Trigger, str]] = ..., state: _Optional[_Union[Execution.State, str]] = ..., state_message: _Optional[str] = ..., failure: _Optional[_Union[_transfer_pb2.Failure, _Mapping]] = ..., task_counts: _Optional[_Union[TaskCounts, _Mapping]] = ..., progress: _Optional[_Union[_transfer_pb2.TransferProgress, _Mapping]] = ..., listing_complete: _Optional[bool] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., started_by: _Optional[str] = ..., event_resources: _Optional[_Iterable[_Union[EventResource, _Mapping]]] = ..., bytes_per_second: _Optional[int] = ..., remaining_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class EventResource(_message.Message):
    __slots__ = ("operation", "repository", "tag", "digest")
    class Operation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OPERATION_UNSPECIFIED: _ClassVar[EventResource.Operation]
        OPERATION_PUSH: _ClassVar[EventResource.Operation]
        OPERATION_DELETE: _ClassVar[EventResource.Operation]
    OPERATION_UNSPECIFIED: EventResource.Operation
    OPERATION_PUSH: EventResource.Operation
    OPERATION_DELETE: EventResource.Operation
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    operation: EventResource.Operation
    repository: str
    tag: str
    digest: str
    def __init__(self, operation: _Optional[_Union[EventResource.Operation, str]] = ..., repository: _Optional[str] = ..., tag: _Optional[str] = ..., digest: _Optional[str] = ...) -> None: ...

class TaskCounts(_message.Message):
    __slots__ = ("total", "pending", "running", "succeeded", "failed", "stopped", "skipped")
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    total: int
    pending: int
    running: int
    succeeded: int
    failed: int
    stopped: int
    skipped: int
    def __init__(self, total: _Optional[int] = ..., pending: _Optional[int] = ..., running: _Optional[int] = ..., succeeded: _Optional[int] = ..., failed: _Optional[int] = ..., stopped: _Optional[int] = ..., skipped: _Optional[int] = ...) -> None: ...

class StartExecutionRequest(_message.Message):
    __slots__ = ("policy", "inline_policy", "request_id", "validate_only", "trigger", "started_by", "event_resources")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    INLINE_POLICY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_FIELD_NUMBER: _ClassVar[int]
    STARTED_BY_FIELD_NUMBER: _ClassVar[int]
    EVENT_RESOURCES_FIELD_NUMBER: _ClassVar[int]
    policy: str
    inline_policy: _policy_pb2.Policy
    request_id: str
    validate_only: bool
    trigger: Execution.Trigger
    started_by: str
    event_resources: _containers.RepeatedCompositeFieldContainer[EventResource]
    def __init__(self, policy: _Optional[str] = ..., inline_policy: _Optional[_Union[_policy_pb2.Policy, _Mapping]] = ..., request_id: _Optional[str] = ..., validate_only: _Optional[bool] = ..., trigger: _Optional[_Union[Execution.Trigger, str]] = ..., started_by: _Optional[str] = ..., event_resources: _Optional[_Iterable[_Union[EventResource, _Mapping]]] = ...) -> None: ...

class GetExecutionRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListExecutionsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "policy", "states", "triggers", "created_since", "created_before", "order_by")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    TRIGGERS_FIELD_NUMBER: _ClassVar[int]
    CREATED_SINCE_FIELD_NUMBER: _ClassVar[int]
    CREATED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    policy: str
    states: _containers.RepeatedScalarFieldContainer[Execution.State]
    triggers: _containers.RepeatedScalarFieldContainer[Execution.Trigger]
    created_since: _timestamp_pb2.Timestamp
    created_before: _timestamp_pb2.Timestamp
    order_by: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., policy: _Optional[str] = ..., states: _Optional[_Iterable[_Union[Execution.State, str]]] = ..., triggers: _Optional[_Iterable[_Union[Execution.Trigger, str]]] = ..., created_since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., created_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., order_by: _Optional[str] = ...) -> None: ...

class ListExecutionsResponse(_message.Message):
    __slots__ = ("executions", "next_page_token")
    EXECUTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    executions: _containers.RepeatedCompositeFieldContainer[Execution]
    next_page_token: str
    def __init__(self, executions: _Optional[_Iterable[_Union[Execution, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class StopExecutionRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class RetryExecutionRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class WatchExecutionRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class WatchExecutionResponse(_message.Message):
    __slots__ = ("execution",)
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    execution: Execution
    def __init__(self, execution: _Optional[_Union[Execution, _Mapping]] = ...) -> None: ...

class PlanExecutionRequest(_message.Message):
    __slots__ = ("policy", "inline_policy")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    INLINE_POLICY_FIELD_NUMBER: _ClassVar[int]
    policy: str
    inline_policy: _policy_pb2.Policy
    def __init__(self, policy: _Optional[str] = ..., inline_policy: _Optional[_Union[_policy_pb2.Policy, _Mapping]] = ...) -> None: ...

class PlanExecutionResponse(_message.Message):
    __slots__ = ("actions", "summary")
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    actions: _containers.RepeatedCompositeFieldContainer[PlannedAction]
    summary: PlanSummary
    def __init__(self, actions: _Optional[_Iterable[_Union[PlannedAction, _Mapping]]] = ..., summary: _Optional[_Union[PlanSummary, _Mapping]] = ...) -> None: ...

class PlannedAction(_message.Message):
    __slots__ = ("destination_registry", "source_repository", "destination_repository", "reference", "created_namespace", "failure")
    DESTINATION_REGISTRY_FIELD_NUMBER: _ClassVar[int]
    SOURCE_REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    CREATED_NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    destination_registry: str
    source_repository: str
    destination_repository: str
    reference: _transfer_pb2.PlannedReference
    created_namespace: str
    failure: _transfer_pb2.Failure
    def __init__(self, destination_registry: _Optional[str] = ..., source_repository: _Optional[str] = ..., destination_repository: _Optional[str] = ..., reference: _Optional[_Union[_transfer_pb2.PlannedReference, _Mapping]] = ..., created_namespace: _Optional[str] = ..., failure: _Optional[_Union[_transfer_pb2.Failure, _Mapping]] = ...) -> None: ...

class PlanSummary(_message.Message):
    __slots__ = ("references_to_copy", "references_unchanged", "references_skipped", "failures", "tags_to_delete", "namespaces_to_create", "bytes_to_move", "prune_guard")
    REFERENCES_TO_COPY_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_SKIPPED_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    TAGS_TO_DELETE_FIELD_NUMBER: _ClassVar[int]
    NAMESPACES_TO_CREATE_FIELD_NUMBER: _ClassVar[int]
    BYTES_TO_MOVE_FIELD_NUMBER: _ClassVar[int]
    PRUNE_GUARD_FIELD_NUMBER: _ClassVar[int]
    references_to_copy: int
    references_unchanged: int
    references_skipped: int
    failures: int
    tags_to_delete: int
    namespaces_to_create: int
    bytes_to_move: int
    prune_guard: str
    def __init__(self, references_to_copy: _Optional[int] = ..., references_unchanged: _Optional[int] = ..., references_skipped: _Optional[int] = ..., failures: _Optional[int] = ..., tags_to_delete: _Optional[int] = ..., namespaces_to_create: _Optional[int] = ..., bytes_to_move: _Optional[int] = ..., prune_guard: _Optional[str] = ...) -> None: ...
