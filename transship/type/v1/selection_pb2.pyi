from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Rejection(_message.Message):
    __slots__ = ("repository", "tag", "cause", "filter_index", "message")
    class Cause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CAUSE_UNSPECIFIED: _ClassVar[Rejection.Cause]
        CAUSE_EXCLUDED: _ClassVar[Rejection.Cause]
        CAUSE_NOT_INCLUDED: _ClassVar[Rejection.Cause]
        CAUSE_NOT_NEWEST: _ClassVar[Rejection.Cause]
        CAUSE_NOT_REPLICATED: _ClassVar[Rejection.Cause]
    CAUSE_UNSPECIFIED: Rejection.Cause
    CAUSE_EXCLUDED: Rejection.Cause
    CAUSE_NOT_INCLUDED: Rejection.Cause
    CAUSE_NOT_NEWEST: Rejection.Cause
    CAUSE_NOT_REPLICATED: Rejection.Cause
    REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    FILTER_INDEX_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    repository: str
    tag: str
    cause: Rejection.Cause
    filter_index: int
    message: str
    def __init__(self, repository: _Optional[str] = ..., tag: _Optional[str] = ..., cause: _Optional[_Union[Rejection.Cause, str]] = ..., filter_index: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...
