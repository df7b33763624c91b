from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Filter(_message.Message):
    __slots__ = ("dimension", "action", "glob")
    class Dimension(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DIMENSION_UNSPECIFIED: _ClassVar[Filter.Dimension]
        DIMENSION_NAME: _ClassVar[Filter.Dimension]
        DIMENSION_TAG: _ClassVar[Filter.Dimension]
    DIMENSION_UNSPECIFIED: Filter.Dimension
    DIMENSION_NAME: Filter.Dimension
    DIMENSION_TAG: Filter.Dimension
    class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ACTION_UNSPECIFIED: _ClassVar[Filter.Action]
        ACTION_INCLUDE: _ClassVar[Filter.Action]
        ACTION_EXCLUDE: _ClassVar[Filter.Action]
    ACTION_UNSPECIFIED: Filter.Action
    ACTION_INCLUDE: Filter.Action
    ACTION_EXCLUDE: Filter.Action
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    GLOB_FIELD_NUMBER: _ClassVar[int]
    dimension: Filter.Dimension
    action: Filter.Action
    glob: str
    def __init__(self, dimension: _Optional[_Union[Filter.Dimension, str]] = ..., action: _Optional[_Union[Filter.Action, str]] = ..., glob: _Optional[str] = ...) -> None: ...
