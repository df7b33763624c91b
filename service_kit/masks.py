"""Update masks (AIP-134): which fields an update writes."""

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from service_kit.errors import FieldViolation, ImmutableField, UnknownFieldInMask

_EVERYTHING = "*"


def check_mask(
    mask: FieldMask, message: Message, *, mutable: frozenset[str], immutable: frozenset[str] = frozenset()
) -> frozenset[str]:
    """The fields that an update writes: those named, all mutable ones for `*`, or the populated ones without a mask.

    Raises:
        UnknownFieldInMask: a path is neither mutable nor immutable.
        ImmutableField: a path is immutable.
    """
    paths = frozenset(mask.paths)
    if not paths:
        return frozenset(field.name for field, _ in message.ListFields()) & mutable
    if paths == {_EVERYTHING}:
        return mutable
    if unknown := sorted(paths - mutable - immutable):
        raise UnknownFieldInMask(violations=_violations(unknown, "no such field"))
    if fixed := sorted(paths & immutable):
        raise ImmutableField(violations=_violations(fixed, "cannot be changed after creation"))
    return paths


def _violations(paths: list[str], description: str) -> list[FieldViolation]:
    return [FieldViolation("update_mask", f"{path}: {description}") for path in paths]
