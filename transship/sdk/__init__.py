"""The Python SDK: `async with TransshipClient.from_environment() as client`. README.md shows how it is used."""

from service_kit.errors import FieldViolation
from service_kit.errors import Kind as ErrorKind
from service_kit.errors import ServiceError as TransshipError
from transship.sdk.client import TransshipClient
from transship.sdk.endpoints import Endpoints
from transship.sdk.policies import destination, literal, name_filter, tag_filter
from transship.type.v1.transfer_pb2 import TransferOptions

__all__ = [
    "Endpoints",
    "ErrorKind",
    "FieldViolation",
    "TransferOptions",
    "TransshipClient",
    "TransshipError",
    "destination",
    "literal",
    "name_filter",
    "tag_filter",
]
