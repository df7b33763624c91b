from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import empty_pb2 as _empty_pb2
from transship.type.v1 import artifact_pb2 as _artifact_pb2
from transship.type.v1 import filter_pb2 as _filter_pb2
from transship.type.v1 import transfer_pb2 as _transfer_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListResourcesRequest(_message.Message):
    __slots__ = ("registry", "filters")
    REGISTRY_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    registry: str
    filters: _containers.RepeatedCompositeFieldContainer[_filter_pb2.Filter]
    def __init__(self, registry: _Optional[str] = ..., filters: _Optional[_Iterable[_Union[_filter_pb2.Filter, _Mapping]]] = ...) -> None: ...

class ListResourcesResponse(_message.Message):
    __slots__ = ("resources", "failures")
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    resources: _containers.RepeatedCompositeFieldContainer[_artifact_pb2.Resource]
    failures: _containers.RepeatedCompositeFieldContainer[RepositoryFailure]
    def __init__(self, resources: _Optional[_Iterable[_Union[_artifact_pb2.Resource, _Mapping]]] = ..., failures: _Optional[_Iterable[_Union[RepositoryFailure, _Mapping]]] = ...) -> None: ...

class RepositoryFailure(_message.Message):
    __slots__ = ("repository", "failure")
    REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    repository: str
    failure: _transfer_pb2.Failure
    def __init__(self, repository: _Optional[str] = ..., failure: _Optional[_Union[_transfer_pb2.Failure, _Mapping]] = ...) -> None: ...

class PrepareRepositoriesRequest(_message.Message):
    __slots__ = ("registry", "repositories")
    REGISTRY_FIELD_NUMBER: _ClassVar[int]
    REPOSITORIES_FIELD_NUMBER: _ClassVar[int]
    registry: str
    repositories: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, registry: _Optional[str] = ..., repositories: _Optional[_Iterable[str]] = ...) -> None: ...

class PrepareRepositoriesResponse(_message.Message):
    __slots__ = ("failures",)
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    failures: _containers.RepeatedCompositeFieldContainer[RepositoryFailure]
    def __init__(self, failures: _Optional[_Iterable[_Union[RepositoryFailure, _Mapping]]] = ...) -> None: ...

class DeleteTagRequest(_message.Message):
    __slots__ = ("registry", "repository", "tag")
    REGISTRY_FIELD_NUMBER: _ClassVar[int]
    REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    registry: str
    repository: str
    tag: str
    def __init__(self, registry: _Optional[str] = ..., repository: _Optional[str] = ..., tag: _Optional[str] = ...) -> None: ...
