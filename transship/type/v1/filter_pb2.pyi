import datetime

from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Filter(_message.Message):
    __slots__ = ("dimension", "action", "glob", "regex", "semver")
    class Dimension(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DIMENSION_UNSPECIFIED: _ClassVar[Filter.Dimension]
        DIMENSION_NAME: _ClassVar[Filter.Dimension]
        DIMENSION_TAG: _ClassVar[Filter.Dimension]
        DIMENSION_LABEL: _ClassVar[Filter.Dimension]
        DIMENSION_RESOURCE_TYPE: _ClassVar[Filter.Dimension]
    DIMENSION_UNSPECIFIED: Filter.Dimension
    DIMENSION_NAME: Filter.Dimension
    DIMENSION_TAG: Filter.Dimension
    DIMENSION_LABEL: Filter.Dimension
    DIMENSION_RESOURCE_TYPE: Filter.Dimension
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
    REGEX_FIELD_NUMBER: _ClassVar[int]
    SEMVER_FIELD_NUMBER: _ClassVar[int]
    dimension: Filter.Dimension
    action: Filter.Action
    glob: str
    regex: str
    semver: str
    def __init__(self, dimension: _Optional[_Union[Filter.Dimension, str]] = ..., action: _Optional[_Union[Filter.Action, str]] = ..., glob: _Optional[str] = ..., regex: _Optional[str] = ..., semver: _Optional[str] = ...) -> None: ...

class Newest(_message.Message):
    __slots__ = ("order", "count", "max_age", "min_count")
    class Order(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ORDER_UNSPECIFIED: _ClassVar[Newest.Order]
        ORDER_SEMVER: _ClassVar[Newest.Order]
        ORDER_CREATE_TIME: _ClassVar[Newest.Order]
    ORDER_UNSPECIFIED: Newest.Order
    ORDER_SEMVER: Newest.Order
    ORDER_CREATE_TIME: Newest.Order
    ORDER_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    MAX_AGE_FIELD_NUMBER: _ClassVar[int]
    MIN_COUNT_FIELD_NUMBER: _ClassVar[int]
    order: Newest.Order
    count: int
    max_age: _duration_pb2.Duration
    min_count: int
    def __init__(self, order: _Optional[_Union[Newest.Order, str]] = ..., count: _Optional[int] = ..., max_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., min_count: _Optional[int] = ...) -> None: ...
