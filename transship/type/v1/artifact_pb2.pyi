from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ArtifactReference(_message.Message):
    __slots__ = ("tag", "digest")
    TAG_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    tag: str
    digest: str
    def __init__(self, tag: _Optional[str] = ..., digest: _Optional[str] = ...) -> None: ...

class Resource(_message.Message):
    __slots__ = ("repository", "references", "public")
    REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_FIELD_NUMBER: _ClassVar[int]
    repository: str
    references: _containers.RepeatedCompositeFieldContainer[ArtifactReference]
    public: bool
    def __init__(self, repository: _Optional[str] = ..., references: _Optional[_Iterable[_Union[ArtifactReference, _Mapping]]] = ..., public: _Optional[bool] = ...) -> None: ...
