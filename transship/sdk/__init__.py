"""The Python SDK: `async with TransshipClient.from_environment() as client`. README.md shows how it is used."""

from service_kit.errors import FieldViolation
from service_kit.errors import Kind as ErrorKind
from service_kit.errors import ServiceError as TransshipError
from transship.sdk.client import TransshipClient
from transship.sdk.endpoints import Endpoints
from transship.sdk.events import deleted, pushed
from transship.sdk.parts import (
    deletion,
    destination,
    label_filter,
    literal,
    manual,
    name_filter,
    newest_created,
    newest_versions,
    on_event,
    prune,
    retention,
    schedule,
    scheduled,
    tag_filter,
    type_filter,
    window,
)
from transship.type.v1.transfer_pb2 import TransferOptions

__all__ = [
    "Endpoints",
    "ErrorKind",
    "FieldViolation",
    "TransferOptions",
    "TransshipClient",
    "TransshipError",
    "deleted",
    "deletion",
    "destination",
    "label_filter",
    "literal",
    "manual",
    "name_filter",
    "newest_created",
    "newest_versions",
    "on_event",
    "prune",
    "pushed",
    "retention",
    "schedule",
    "scheduled",
    "tag_filter",
    "type_filter",
    "window",
]
