import datetime

from buf.validate import validate_pb2 as _validate_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import empty_pb2 as _empty_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from transship.type.v1 import filter_pb2 as _filter_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Registry(_message.Message):
    __slots__ = ("name", "uid", "description", "type", "url", "credential", "insecure", "ca_certificate", "state", "state_message", "check_time", "create_time", "update_time", "etag", "max_bytes_per_second")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Registry.State]
        STATE_HEALTHY: _ClassVar[Registry.State]
        STATE_UNHEALTHY: _ClassVar[Registry.State]
    STATE_UNSPECIFIED: Registry.State
    STATE_HEALTHY: Registry.State
    STATE_UNHEALTHY: Registry.State
    NAME_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    INSECURE_FIELD_NUMBER: _ClassVar[int]
    CA_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STATE_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    CHECK_TIME_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    name: str
    uid: str
    description: str
    type: str
    url: str
    credential: Credential
    insecure: bool
    ca_certificate: str
    state: Registry.State
    state_message: str
    check_time: _timestamp_pb2.Timestamp
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    etag: str
    max_bytes_per_second: int
    def __init__(self, name: _Optional[str] = ..., uid: _Optional[str] = ..., description: _Optional[str] = ..., type: _Optional[str] = ..., url: _Optional[str] = ..., credential: _Optional[_Union[Credential, _Mapping]] = ..., insecure: _Optional[bool] = ..., ca_certificate: _Optional[str] = ..., state: _Optional[_Union[Registry.State, str]] = ..., state_message: _Optional[str] = ..., check_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ..., max_bytes_per_second: _Optional[int] = ...) -> None: ...

class Credential(_message.Message):
    __slots__ = ("username", "password")
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    username: str
    password: str
    def __init__(self, username: _Optional[str] = ..., password: _Optional[str] = ...) -> None: ...

class RegistryInfo(_message.Message):
    __slots__ = ("type", "description", "filter_dimensions", "min_path_components", "max_path_components", "lists_repositories", "deletes_tags", "sends_events", "lists_digests")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    FILTER_DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    MIN_PATH_COMPONENTS_FIELD_NUMBER: _ClassVar[int]
    MAX_PATH_COMPONENTS_FIELD_NUMBER: _ClassVar[int]
    LISTS_REPOSITORIES_FIELD_NUMBER: _ClassVar[int]
    DELETES_TAGS_FIELD_NUMBER: _ClassVar[int]
    SENDS_EVENTS_FIELD_NUMBER: _ClassVar[int]
    LISTS_DIGESTS_FIELD_NUMBER: _ClassVar[int]
    type: str
    description: str
    filter_dimensions: _containers.RepeatedScalarFieldContainer[_filter_pb2.Filter.Dimension]
    min_path_components: int
    max_path_components: int
    lists_repositories: bool
    deletes_tags: bool
    sends_events: bool
    lists_digests: bool
    def __init__(self, type: _Optional[str] = ..., description: _Optional[str] = ..., filter_dimensions: _Optional[_Iterable[_Union[_filter_pb2.Filter.Dimension, str]]] = ..., min_path_components: _Optional[int] = ..., max_path_components: _Optional[int] = ..., lists_repositories: _Optional[bool] = ..., deletes_tags: _Optional[bool] = ..., sends_events: _Optional[bool] = ..., lists_digests: _Optional[bool] = ...) -> None: ...

class Adapter(_message.Message):
    __slots__ = ("type", "description", "url_pattern", "urls", "username_hint", "password_hint")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    URL_PATTERN_FIELD_NUMBER: _ClassVar[int]
    URLS_FIELD_NUMBER: _ClassVar[int]
    USERNAME_HINT_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_HINT_FIELD_NUMBER: _ClassVar[int]
    type: str
    description: str
    url_pattern: str
    urls: _containers.RepeatedScalarFieldContainer[str]
    username_hint: str
    password_hint: str
    def __init__(self, type: _Optional[str] = ..., description: _Optional[str] = ..., url_pattern: _Optional[str] = ..., urls: _Optional[_Iterable[str]] = ..., username_hint: _Optional[str] = ..., password_hint: _Optional[str] = ...) -> None: ...

class CreateRegistryRequest(_message.Message):
    __slots__ = ("registry_id", "registry", "skip_check")
    REGISTRY_ID_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_FIELD_NUMBER: _ClassVar[int]
    SKIP_CHECK_FIELD_NUMBER: _ClassVar[int]
    registry_id: str
    registry: Registry
    skip_check: bool
    def __init__(self, registry_id: _Optional[str] = ..., registry: _Optional[_Union[Registry, _Mapping]] = ..., skip_check: _Optional[bool] = ...) -> None: ...

class GetRegistryRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListRegistriesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "type")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    type: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., type: _Optional[str] = ...) -> None: ...

class ListRegistriesResponse(_message.Message):
    __slots__ = ("registries", "next_page_token")
    REGISTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    registries: _containers.RepeatedCompositeFieldContainer[Registry]
    next_page_token: str
    def __init__(self, registries: _Optional[_Iterable[_Union[Registry, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateRegistryRequest(_message.Message):
    __slots__ = ("registry", "update_mask", "skip_check")
    REGISTRY_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    SKIP_CHECK_FIELD_NUMBER: _ClassVar[int]
    registry: Registry
    update_mask: _field_mask_pb2.FieldMask
    skip_check: bool
    def __init__(self, registry: _Optional[_Union[Registry, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., skip_check: _Optional[bool] = ...) -> None: ...

class DeleteRegistryRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class PingRegistryRequest(_message.Message):
    __slots__ = ("name", "registry")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_FIELD_NUMBER: _ClassVar[int]
    name: str
    registry: Registry
    def __init__(self, name: _Optional[str] = ..., registry: _Optional[_Union[Registry, _Mapping]] = ...) -> None: ...

class PingRegistryResponse(_message.Message):
    __slots__ = ("elapsed_ms",)
    ELAPSED_MS_FIELD_NUMBER: _ClassVar[int]
    elapsed_ms: int
    def __init__(self, elapsed_ms: _Optional[int] = ...) -> None: ...

class GetRegistryInfoRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListAdaptersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListAdaptersResponse(_message.Message):
    __slots__ = ("adapters",)
    ADAPTERS_FIELD_NUMBER: _ClassVar[int]
    adapters: _containers.RepeatedCompositeFieldContainer[Adapter]
    def __init__(self, adapters: _Optional[_Iterable[_Union[Adapter, _Mapping]]] = ...) -> None: ...
