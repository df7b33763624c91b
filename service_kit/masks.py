"""Update masks (AIP-134): which fields an update writes."""

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from service_kit.errors import FieldViolation, UnknownFieldInMask

_EVERYTHING = "*"


def check_mask(
    mask: FieldMask, message: Message, *, mutable: frozenset[str], immutable: frozenset[str] = frozenset()
) -> frozenset[str]:
    """The fields that an update writes: those named, all mutable ones for `*`, or the populated ones without a mask.

    Raises:
        UnknownFieldInMask: a path is not mutable; each such path has its violation.
    """
    paths = frozenset(mask.paths)
    if not paths:
        return frozenset(field.name for field, _ in message.ListFields()) & mutable
    if paths == {_EVERYTHING}:
        return mutable
    if wrong := sorted(paths - mutable):
        raise UnknownFieldInMask(violations=[_violation(path, immutable) for path in wrong])
    return paths


def _violation(path: str, immutable: frozenset[str]) -> FieldViolation:
    problem = "cannot be changed after creation" if path in immutable else "no such field"
    return FieldViolation("update_mask", f"{path}: {problem}")
