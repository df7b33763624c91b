import datetime

from buf.validate import validate_pb2 as _validate_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from transship.type.v1 import transfer_pb2 as _transfer_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class JobSpec(_message.Message):
    __slots__ = ("key", "fairness_group", "replicate", "delete")
    KEY_FIELD_NUMBER: _ClassVar[int]
    FAIRNESS_GROUP_FIELD_NUMBER: _ClassVar[int]
    REPLICATE_FIELD_NUMBER: _ClassVar[int]
    DELETE_FIELD_NUMBER: _ClassVar[int]
    key: str
    fairness_group: str
    replicate: ReplicateWork
    delete: DeleteWork
    def __init__(self, key: _Optional[str] = ..., fairness_group: _Optional[str] = ..., replicate: _Optional[_Union[ReplicateWork, _Mapping]] = ..., delete: _Optional[_Union[DeleteWork, _Mapping]] = ...) -> None: ...

class ReplicateWork(_message.Message):
    __slots__ = ("source_registry", "source_repository", "destination_registry", "destination_repository", "references", "override", "options", "backup_tag")
    SOURCE_REGISTRY_FIELD_NUMBER: _ClassVar[int]
    SOURCE_REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_REGISTRY_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_FIELD_NUMBER: _ClassVar[int]
    OVERRIDE_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    BACKUP_TAG_FIELD_NUMBER: _ClassVar[int]
    source_registry: str
    source_repository: str
    destination_registry: str
    destination_repository: str
    references: _containers.RepeatedCompositeFieldContainer[ReplicateReference]
    override: bool
    options: _transfer_pb2.TransferOptions
    backup_tag: str
    def __init__(self, source_registry: _Optional[str] = ..., source_repository: _Optional[str] = ..., destination_registry: _Optional[str] = ..., destination_repository: _Optional[str] = ..., references: _Optional[_Iterable[_Union[ReplicateReference, _Mapping]]] = ..., override: _Optional[bool] = ..., options: _Optional[_Union[_transfer_pb2.TransferOptions, _Mapping]] = ..., backup_tag: _Optional[str] = ...) -> None: ...

class ReplicateReference(_message.Message):
    __slots__ = ("tag", "digest", "destination_tag")
    TAG_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_TAG_FIELD_NUMBER: _ClassVar[int]
    tag: str
    digest: str
    destination_tag: str
    def __init__(self, tag: _Optional[str] = ..., digest: _Optional[str] = ..., destination_tag: _Optional[str] = ...) -> None: ...

class DeleteWork(_message.Message):
    __slots__ = ("registry", "repository", "references")
    REGISTRY_FIELD_NUMBER: _ClassVar[int]
    REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_FIELD_NUMBER: _ClassVar[int]
    registry: str
    repository: str
    references: _containers.RepeatedCompositeFieldContainer[DeleteReference]
    def __init__(self, registry: _Optional[str] = ..., repository: _Optional[str] = ..., references: _Optional[_Iterable[_Union[DeleteReference, _Mapping]]] = ...) -> None: ...

class DeleteReference(_message.Message):
    __slots__ = ("tag", "digest")
    TAG_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    tag: str
    digest: str
    def __init__(self, tag: _Optional[str] = ..., digest: _Optional[str] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("name", "spec", "status", "create_time")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Job.State]
        STATE_PENDING: _ClassVar[Job.State]
        STATE_RUNNING: _ClassVar[Job.State]
        STATE_SUCCEEDED: _ClassVar[Job.State]
        STATE_FAILED: _ClassVar[Job.State]
        STATE_STOPPED: _ClassVar[Job.State]
    STATE_UNSPECIFIED: Job.State
    STATE_PENDING: Job.State
    STATE_RUNNING: Job.State
    STATE_SUCCEEDED: Job.State
    STATE_FAILED: Job.State
    STATE_STOPPED: Job.State
    NAME_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    spec: JobSpec
    status: JobStatus
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., spec: _Optional[_Union[JobSpec, _Mapping]] = ..., status: _Optional[_Union[JobStatus, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class JobStatus(_message.Message):
    __slots__ = ("key", "revision", "state", "stop_requested", "attempt", "progress", "failure", "results", "start_time", "end_time", "next_attempt_time")
    KEY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STOP_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    NEXT_ATTEMPT_TIME_FIELD_NUMBER: _ClassVar[int]
    key: str
    revision: int
    state: Job.State
    stop_requested: bool
    attempt: int
    progress: _transfer_pb2.TransferProgress
    failure: _transfer_pb2.Failure
    results: _containers.RepeatedCompositeFieldContainer[_transfer_pb2.ReferenceResult]
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    next_attempt_time: _timestamp_pb2.Timestamp
    def __init__(self, key: _Optional[str] = ..., revision: _Optional[int] = ..., state: _Optional[_Union[Job.State, str]] = ..., stop_requested: _Optional[bool] = ..., attempt: _Optional[int] = ..., progress: _Optional[_Union[_transfer_pb2.TransferProgress, _Mapping]] = ..., failure: _Optional[_Union[_transfer_pb2.Failure, _Mapping]] = ..., results: _Optional[_Iterable[_Union[_transfer_pb2.ReferenceResult, _Mapping]]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., next_attempt_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class DelegateRequest(_message.Message):
    __slots__ = ("submit", "follow", "stop")
    SUBMIT_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    submit: SubmitJobs
    follow: FollowJobs
    stop: StopJobs
    def __init__(self, submit: _Optional[_Union[SubmitJobs, _Mapping]] = ..., follow: _Optional[_Union[FollowJobs, _Mapping]] = ..., stop: _Optional[_Union[StopJobs, _Mapping]] = ...) -> None: ...

class SubmitJobs(_message.Message):
    __slots__ = ("jobs",)
    JOBS_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[JobSpec]
    def __init__(self, jobs: _Optional[_Iterable[_Union[JobSpec, _Mapping]]] = ...) -> None: ...

class FollowJobs(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, keys: _Optional[_Iterable[str]] = ...) -> None: ...

class StopJobs(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, keys: _Optional[_Iterable[str]] = ...) -> None: ...

class DelegateResponse(_message.Message):
    __slots__ = ("accepted", "rejected", "changed", "unknown")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    accepted: JobsAccepted
    rejected: JobRejected
    changed: JobsChanged
    unknown: JobsUnknown
    def __init__(self, accepted: _Optional[_Union[JobsAccepted, _Mapping]] = ..., rejected: _Optional[_Union[JobRejected, _Mapping]] = ..., changed: _Optional[_Union[JobsChanged, _Mapping]] = ..., unknown: _Optional[_Union[JobsUnknown, _Mapping]] = ...) -> None: ...

class JobsAccepted(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, keys: _Optional[_Iterable[str]] = ...) -> None: ...

class JobRejected(_message.Message):
    __slots__ = ("key", "failure")
    KEY_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    key: str
    failure: _transfer_pb2.Failure
    def __init__(self, key: _Optional[str] = ..., failure: _Optional[_Union[_transfer_pb2.Failure, _Mapping]] = ...) -> None: ...

class JobsChanged(_message.Message):
    __slots__ = ("statuses",)
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    statuses: _containers.RepeatedCompositeFieldContainer[JobStatus]
    def __init__(self, statuses: _Optional[_Iterable[_Union[JobStatus, _Mapping]]] = ...) -> None: ...

class JobsUnknown(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, keys: _Optional[_Iterable[str]] = ...) -> None: ...

class GetJobRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListJobsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "states")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    states: _containers.RepeatedScalarFieldContainer[Job.State]
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., states: _Optional[_Iterable[_Union[Job.State, str]]] = ...) -> None: ...

class ListJobsResponse(_message.Message):
    __slots__ = ("jobs", "next_page_token")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Job]
    next_page_token: str
    def __init__(self, jobs: _Optional[_Iterable[_Union[Job, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class StopJobRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class WatchJobRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class WatchJobResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: JobStatus
    def __init__(self, status: _Optional[_Union[JobStatus, _Mapping]] = ...) -> None: ...

class ReadJobLogRequest(_message.Message):
    __slots__ = ("name", "after_sequence", "follow")
    NAME_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    name: str
    after_sequence: int
    follow: bool
    def __init__(self, name: _Optional[str] = ..., after_sequence: _Optional[int] = ..., follow: _Optional[bool] = ...) -> None: ...

class ReadJobLogResponse(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[_transfer_pb2.LogEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[_transfer_pb2.LogEntry, _Mapping]]] = ...) -> None: ...

class PlanReplicationRequest(_message.Message):
    __slots__ = ("replicate",)
    REPLICATE_FIELD_NUMBER: _ClassVar[int]
    replicate: ReplicateWork
    def __init__(self, replicate: _Optional[_Union[ReplicateWork, _Mapping]] = ...) -> None: ...

class PlanReplicationResponse(_message.Message):
    __slots__ = ("references",)
    REFERENCES_FIELD_NUMBER: _ClassVar[int]
    references: _containers.RepeatedCompositeFieldContainer[_transfer_pb2.PlannedReference]
    def __init__(self, references: _Optional[_Iterable[_Union[_transfer_pb2.PlannedReference, _Mapping]]] = ...) -> None: ...
