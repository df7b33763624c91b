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

class Task(_message.Message):
    __slots__ = ("name", "operation", "source_registry", "source_repository", "destination_registry", "destination_repository", "reference_count", "state", "failure", "progress", "results", "attempt", "create_time", "start_time", "end_time")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Task.State]
        STATE_PENDING: _ClassVar[Task.State]
        STATE_RUNNING: _ClassVar[Task.State]
        STATE_SUCCEEDED: _ClassVar[Task.State]
        STATE_FAILED: _ClassVar[Task.State]
        STATE_STOPPED: _ClassVar[Task.State]
        STATE_SKIPPED: _ClassVar[Task.State]
    STATE_UNSPECIFIED: Task.State
    STATE_PENDING: Task.State
    STATE_RUNNING: Task.State
    STATE_SUCCEEDED: Task.State
    STATE_FAILED: Task.State
    STATE_STOPPED: Task.State
    STATE_SKIPPED: Task.State
    class Operation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OPERATION_UNSPECIFIED: _ClassVar[Task.Operation]
        OPERATION_COPY: _ClassVar[Task.Operation]
        OPERATION_DELETE: _ClassVar[Task.Operation]
    OPERATION_UNSPECIFIED: Task.Operation
    OPERATION_COPY: Task.Operation
    OPERATION_DELETE: Task.Operation
    NAME_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_REGISTRY_FIELD_NUMBER: _ClassVar[int]
    SOURCE_REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_REGISTRY_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_COUNT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    operation: Task.Operation
    source_registry: str
    source_repository: str
    destination_registry: str
    destination_repository: str
    reference_count: int
    state: Task.State
    failure: _transfer_pb2.Failure
    progress: _transfer_pb2.TransferProgress
    results: _containers.RepeatedCompositeFieldContainer[_transfer_pb2.ReferenceResult]
    attempt: int
    create_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., operation: _Optional[_Union[Task.Operation, str]] = ..., source_registry: _Optional[str] = ..., source_repository: _Optional[str] = ..., destination_registry: _Optional[str] = ..., destination_repository: _Optional[str] = ..., reference_count: _Optional[int] = ..., state: _Optional[_Union[Task.State, str]] = ..., failure: _Optional[_Union[_transfer_pb2.Failure, _Mapping]] = ..., progress: _Optional[_Union[_transfer_pb2.TransferProgress, _Mapping]] = ..., results: _Optional[_Iterable[_Union[_transfer_pb2.ReferenceResult, _Mapping]]] = ..., attempt: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetTaskRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListTasksRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token", "states")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    states: _containers.RepeatedScalarFieldContainer[Task.State]
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., states: _Optional[_Iterable[_Union[Task.State, str]]] = ...) -> None: ...

class ListTasksResponse(_message.Message):
    __slots__ = ("tasks", "next_page_token")
    TASKS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[Task]
    next_page_token: str
    def __init__(self, tasks: _Optional[_Iterable[_Union[Task, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ReadTaskLogRequest(_message.Message):
    __slots__ = ("name", "after_sequence", "follow")
    NAME_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    name: str
    after_sequence: int
    follow: bool
    def __init__(self, name: _Optional[str] = ..., after_sequence: _Optional[int] = ..., follow: _Optional[bool] = ...) -> None: ...

class ReadTaskLogResponse(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[_transfer_pb2.LogEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[_transfer_pb2.LogEntry, _Mapping]]] = ...) -> None: ...
