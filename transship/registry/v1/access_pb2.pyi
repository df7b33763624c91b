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

class RepositoryScope(_message.Message):
    __slots__ = ("repository", "actions")
    class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ACTION_UNSPECIFIED: _ClassVar[RepositoryScope.Action]
        ACTION_PULL: _ClassVar[RepositoryScope.Action]
        ACTION_PUSH: _ClassVar[RepositoryScope.Action]
        ACTION_DELETE: _ClassVar[RepositoryScope.Action]
    ACTION_UNSPECIFIED: RepositoryScope.Action
    ACTION_PULL: RepositoryScope.Action
    ACTION_PUSH: RepositoryScope.Action
    ACTION_DELETE: RepositoryScope.Action
    REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    repository: str
    actions: _containers.RepeatedScalarFieldContainer[RepositoryScope.Action]
    def __init__(self, repository: _Optional[str] = ..., actions: _Optional[_Iterable[_Union[RepositoryScope.Action, str]]] = ...) -> None: ...

class IssueAccessRequest(_message.Message):
    __slots__ = ("registry", "scopes", "rejected_authorization")
    REGISTRY_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    REJECTED_AUTHORIZATION_FIELD_NUMBER: _ClassVar[int]
    registry: str
    scopes: _containers.RepeatedCompositeFieldContainer[RepositoryScope]
    rejected_authorization: str
    def __init__(self, registry: _Optional[str] = ..., scopes: _Optional[_Iterable[_Union[RepositoryScope, _Mapping]]] = ..., rejected_authorization: _Optional[str] = ...) -> None: ...

class IssueAccessResponse(_message.Message):
    __slots__ = ("url", "insecure", "ca_certificate", "kind", "authorization", "expire_time", "registry_uid", "type", "max_bytes_per_second")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[IssueAccessResponse.Kind]
        KIND_BEARER: _ClassVar[IssueAccessResponse.Kind]
        KIND_BASIC: _ClassVar[IssueAccessResponse.Kind]
    KIND_UNSPECIFIED: IssueAccessResponse.Kind
    KIND_BEARER: IssueAccessResponse.Kind
    KIND_BASIC: IssueAccessResponse.Kind
    URL_FIELD_NUMBER: _ClassVar[int]
    INSECURE_FIELD_NUMBER: _ClassVar[int]
    CA_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    AUTHORIZATION_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_UID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    url: str
    insecure: bool
    ca_certificate: str
    kind: IssueAccessResponse.Kind
    authorization: str
    expire_time: _timestamp_pb2.Timestamp
    registry_uid: str
    type: str
    max_bytes_per_second: int
    def __init__(self, url: _Optional[str] = ..., insecure: _Optional[bool] = ..., ca_certificate: _Optional[str] = ..., kind: _Optional[_Union[IssueAccessResponse.Kind, str]] = ..., authorization: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., registry_uid: _Optional[str] = ..., type: _Optional[str] = ..., max_bytes_per_second: _Optional[int] = ...) -> None: ...
