from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import empty_pb2 as _empty_pb2
from transship.type.v1 import artifact_pb2 as _artifact_pb2
from transship.type.v1 import filter_pb2 as _filter_pb2
from transship.type.v1 import selection_pb2 as _selection_pb2
from transship.type.v1 import transfer_pb2 as _transfer_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListResourcesRequest(_message.Message):
    __slots__ = ("registry", "filters", "newest", "within", "include_rejected")
    REGISTRY_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    NEWEST_FIELD_NUMBER: _ClassVar[int]
    WITHIN_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_REJECTED_FIELD_NUMBER: _ClassVar[int]
    registry: str
    filters: _containers.RepeatedCompositeFieldContainer[_filter_pb2.Filter]
    newest: _filter_pb2.Newest
    within: _containers.RepeatedCompositeFieldContainer[_artifact_pb2.Resource]
    include_rejected: bool
    def __init__(self, registry: _Optional[str] = ..., filters: _Optional[_Iterable[_Union[_filter_pb2.Filter, _Mapping]]] = ..., newest: _Optional[_Union[_filter_pb2.Newest, _Mapping]] = ..., within: _Optional[_Iterable[_Union[_artifact_pb2.Resource, _Mapping]]] = ..., include_rejected: _Optional[bool] = ...) -> None: ...

class ListResourcesResponse(_message.Message):
    __slots__ = ("resources", "failures", "rejections")
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    REJECTIONS_FIELD_NUMBER: _ClassVar[int]
    resources: _containers.RepeatedCompositeFieldContainer[_artifact_pb2.Resource]
    failures: _containers.RepeatedCompositeFieldContainer[RepositoryFailure]
    rejections: _containers.RepeatedCompositeFieldContainer[_selection_pb2.Rejection]
    def __init__(self, resources: _Optional[_Iterable[_Union[_artifact_pb2.Resource, _Mapping]]] = ..., failures: _Optional[_Iterable[_Union[RepositoryFailure, _Mapping]]] = ..., rejections: _Optional[_Iterable[_Union[_selection_pb2.Rejection, _Mapping]]] = ...) -> None: ...

class RepositoryFailure(_message.Message):
    __slots__ = ("repository", "failure")
    REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    repository: str
    failure: _transfer_pb2.Failure
    def __init__(self, repository: _Optional[str] = ..., failure: _Optional[_Union[_transfer_pb2.Failure, _Mapping]] = ...) -> None: ...

class PrepareRepositoriesRequest(_message.Message):
    __slots__ = ("registry", "repositories", "validate_only", "public")
    REGISTRY_FIELD_NUMBER: _ClassVar[int]
    REPOSITORIES_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_FIELD_NUMBER: _ClassVar[int]
    registry: str
    repositories: _containers.RepeatedScalarFieldContainer[str]
    validate_only: bool
    public: bool
    def __init__(self, registry: _Optional[str] = ..., repositories: _Optional[_Iterable[str]] = ..., validate_only: _Optional[bool] = ..., public: _Optional[bool] = ...) -> None: ...

class PrepareRepositoriesResponse(_message.Message):
    __slots__ = ("failures", "created_namespaces", "excluded")
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    CREATED_NAMESPACES_FIELD_NUMBER: _ClassVar[int]
    EXCLUDED_FIELD_NUMBER: _ClassVar[int]
    failures: _containers.RepeatedCompositeFieldContainer[RepositoryFailure]
    created_namespaces: _containers.RepeatedScalarFieldContainer[str]
    excluded: _containers.RepeatedCompositeFieldContainer[RepositoryFailure]
    def __init__(self, failures: _Optional[_Iterable[_Union[RepositoryFailure, _Mapping]]] = ..., created_namespaces: _Optional[_Iterable[str]] = ..., excluded: _Optional[_Iterable[_Union[RepositoryFailure, _Mapping]]] = ...) -> None: ...

class DeleteTagRequest(_message.Message):
    __slots__ = ("registry", "repository", "tag", "along")
    REGISTRY_FIELD_NUMBER: _ClassVar[int]
    REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    ALONG_FIELD_NUMBER: _ClassVar[int]
    registry: str
    repository: str
    tag: str
    along: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, registry: _Optional[str] = ..., repository: _Optional[str] = ..., tag: _Optional[str] = ..., along: _Optional[_Iterable[str]] = ...) -> None: ...
