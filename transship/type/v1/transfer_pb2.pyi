import datetime

from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Failure(_message.Message):
    __slots__ = ("reason", "message", "side", "registry_code", "http_status", "metadata")
    class Side(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SIDE_UNSPECIFIED: _ClassVar[Failure.Side]
        SIDE_SOURCE: _ClassVar[Failure.Side]
        SIDE_DESTINATION: _ClassVar[Failure.Side]
    SIDE_UNSPECIFIED: Failure.Side
    SIDE_SOURCE: Failure.Side
    SIDE_DESTINATION: Failure.Side
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_CODE_FIELD_NUMBER: _ClassVar[int]
    HTTP_STATUS_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    side: Failure.Side
    registry_code: str
    http_status: int
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ..., side: _Optional[_Union[Failure.Side, str]] = ..., registry_code: _Optional[str] = ..., http_status: _Optional[int] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class TransferOptions(_message.Message):
    __slots__ = ("platforms", "referrers", "referrer_types", "foreign_layers", "max_bytes_per_second")
    PLATFORMS_FIELD_NUMBER: _ClassVar[int]
    REFERRERS_FIELD_NUMBER: _ClassVar[int]
    REFERRER_TYPES_FIELD_NUMBER: _ClassVar[int]
    FOREIGN_LAYERS_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    platforms: _containers.RepeatedScalarFieldContainer[str]
    referrers: bool
    referrer_types: _containers.RepeatedScalarFieldContainer[str]
    foreign_layers: bool
    max_bytes_per_second: int
    def __init__(self, platforms: _Optional[_Iterable[str]] = ..., referrers: _Optional[bool] = ..., referrer_types: _Optional[_Iterable[str]] = ..., foreign_layers: _Optional[bool] = ..., max_bytes_per_second: _Optional[int] = ...) -> None: ...

class TransferProgress(_message.Message):
    __slots__ = ("references_total", "references_copied", "references_unchanged", "references_skipped", "references_deleted", "references_failed", "blobs_total", "blobs_copied", "blobs_mounted", "blobs_present", "bytes_total", "bytes_copied", "bytes_mounted", "bytes_present")
    REFERENCES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_COPIED_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_SKIPPED_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_DELETED_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_FAILED_FIELD_NUMBER: _ClassVar[int]
    BLOBS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    BLOBS_COPIED_FIELD_NUMBER: _ClassVar[int]
    BLOBS_MOUNTED_FIELD_NUMBER: _ClassVar[int]
    BLOBS_PRESENT_FIELD_NUMBER: _ClassVar[int]
    BYTES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    BYTES_COPIED_FIELD_NUMBER: _ClassVar[int]
    BYTES_MOUNTED_FIELD_NUMBER: _ClassVar[int]
    BYTES_PRESENT_FIELD_NUMBER: _ClassVar[int]
    references_total: int
    references_copied: int
    references_unchanged: int
    references_skipped: int
    references_deleted: int
    references_failed: int
    blobs_total: int
    blobs_copied: int
    blobs_mounted: int
    blobs_present: int
    bytes_total: int
    bytes_copied: int
    bytes_mounted: int
    bytes_present: int
    def __init__(self, references_total: _Optional[int] = ..., references_copied: _Optional[int] = ..., references_unchanged: _Optional[int] = ..., references_skipped: _Optional[int] = ..., references_deleted: _Optional[int] = ..., references_failed: _Optional[int] = ..., blobs_total: _Optional[int] = ..., blobs_copied: _Optional[int] = ..., blobs_mounted: _Optional[int] = ..., blobs_present: _Optional[int] = ..., bytes_total: _Optional[int] = ..., bytes_copied: _Optional[int] = ..., bytes_mounted: _Optional[int] = ..., bytes_present: _Optional[int] = ...) -> None: ...

class ReferenceResult(_message.Message):
    __slots__ = ("tag", "digest", "outcome", "failure", "destination_tag", "backup_tag", "destination_digest")
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OUTCOME_UNSPECIFIED: _ClassVar[ReferenceResult.Outcome]
        OUTCOME_COPIED: _ClassVar[ReferenceResult.Outcome]
        OUTCOME_UNCHANGED: _ClassVar[ReferenceResult.Outcome]
        OUTCOME_SKIPPED: _ClassVar[ReferenceResult.Outcome]
        OUTCOME_FAILED: _ClassVar[ReferenceResult.Outcome]
        OUTCOME_DELETED: _ClassVar[ReferenceResult.Outcome]
        OUTCOME_STOPPED: _ClassVar[ReferenceResult.Outcome]
    OUTCOME_UNSPECIFIED: ReferenceResult.Outcome
    OUTCOME_COPIED: ReferenceResult.Outcome
    OUTCOME_UNCHANGED: ReferenceResult.Outcome
    OUTCOME_SKIPPED: ReferenceResult.Outcome
    OUTCOME_FAILED: ReferenceResult.Outcome
    OUTCOME_DELETED: ReferenceResult.Outcome
    OUTCOME_STOPPED: ReferenceResult.Outcome
    TAG_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_TAG_FIELD_NUMBER: _ClassVar[int]
    BACKUP_TAG_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_DIGEST_FIELD_NUMBER: _ClassVar[int]
    tag: str
    digest: str
    outcome: ReferenceResult.Outcome
    failure: Failure
    destination_tag: str
    backup_tag: str
    destination_digest: str
    def __init__(self, tag: _Optional[str] = ..., digest: _Optional[str] = ..., outcome: _Optional[_Union[ReferenceResult.Outcome, str]] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ..., destination_tag: _Optional[str] = ..., backup_tag: _Optional[str] = ..., destination_digest: _Optional[str] = ...) -> None: ...

class PlannedReference(_message.Message):
    __slots__ = ("tag", "digest", "destination_tag", "action", "failure", "present_digest", "blobs_to_move", "bytes_to_move")
    class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ACTION_UNSPECIFIED: _ClassVar[PlannedReference.Action]
        ACTION_COPY: _ClassVar[PlannedReference.Action]
        ACTION_UNCHANGED: _ClassVar[PlannedReference.Action]
        ACTION_SKIP: _ClassVar[PlannedReference.Action]
        ACTION_DELETE: _ClassVar[PlannedReference.Action]
        ACTION_FAIL: _ClassVar[PlannedReference.Action]
    ACTION_UNSPECIFIED: PlannedReference.Action
    ACTION_COPY: PlannedReference.Action
    ACTION_UNCHANGED: PlannedReference.Action
    ACTION_SKIP: PlannedReference.Action
    ACTION_DELETE: PlannedReference.Action
    ACTION_FAIL: PlannedReference.Action
    TAG_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_TAG_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    PRESENT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    BLOBS_TO_MOVE_FIELD_NUMBER: _ClassVar[int]
    BYTES_TO_MOVE_FIELD_NUMBER: _ClassVar[int]
    tag: str
    digest: str
    destination_tag: str
    action: PlannedReference.Action
    failure: Failure
    present_digest: str
    blobs_to_move: int
    bytes_to_move: int
    def __init__(self, tag: _Optional[str] = ..., digest: _Optional[str] = ..., destination_tag: _Optional[str] = ..., action: _Optional[_Union[PlannedReference.Action, str]] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ..., present_digest: _Optional[str] = ..., blobs_to_move: _Optional[int] = ..., bytes_to_move: _Optional[int] = ...) -> None: ...

class LogEntry(_message.Message):
    __slots__ = ("sequence", "write_time", "severity", "message", "fields")
    class Severity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SEVERITY_UNSPECIFIED: _ClassVar[LogEntry.Severity]
        SEVERITY_DEBUG: _ClassVar[LogEntry.Severity]
        SEVERITY_INFO: _ClassVar[LogEntry.Severity]
        SEVERITY_WARNING: _ClassVar[LogEntry.Severity]
        SEVERITY_ERROR: _ClassVar[LogEntry.Severity]
    SEVERITY_UNSPECIFIED: LogEntry.Severity
    SEVERITY_DEBUG: LogEntry.Severity
    SEVERITY_INFO: LogEntry.Severity
    SEVERITY_WARNING: LogEntry.Severity
    SEVERITY_ERROR: LogEntry.Severity
    class FieldsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    WRITE_TIME_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    write_time: _timestamp_pb2.Timestamp
    severity: LogEntry.Severity
    message: str
    fields: _containers.ScalarMap[str, str]
    def __init__(self, sequence: _Optional[int] = ..., write_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., severity: _Optional[_Union[LogEntry.Severity, str]] = ..., message: _Optional[str] = ..., fields: _Optional[_Mapping[str, str]] = ...) -> None: ...
