"""Policies in a file: YAML that is the JSON form of the protos, with an id beside it.

policies:
  - id: nightly
    source_registry: hub
    destinations:
      - registry: mirror
        namespace: library
"""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, Final

import yaml
from google.api.field_behavior_pb2 import FieldBehavior, field_behavior  # type: ignore[import-untyped]  # no stubs
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from transship.cli.render import last_part, to_dict
from transship.policy.v1.policy_pb2 import Policy
from transship.sdk.names import registry_name

_POLICIES: Final = "policies"
_ID: Final = "id"
_MERGE_KEY: Final = "tag:yaml.org,2002:merge"
_Field = Any  # a field's descriptor, of which there are two classes
_LINE_BREAKS: Final = frozenset("\x85\u2028\u2029")
# A field of these is written as text or a number, not as a mapping.
_WELL_KNOWN: Final = "google.protobuf."
_SERVERS: Final = frozenset({FieldBehavior.Value("OUTPUT_ONLY"), FieldBehavior.Value("IDENTIFIER")})


class MistakeInFile(Exception):
    """What is wrong in a file, and where."""


def read_policies(text: str) -> dict[str, Policy]:
    """The policies of a file by their ids, in its order. Raises MistakeInFile."""
    try:
        found = yaml.load(text, _Loader)  # noqa: S506 - a safe loader with fewer types still
    except yaml.YAMLError as error:
        raise MistakeInFile(f"It is no YAML: {error}") from error
    if not isinstance(found, dict) or set(found) != {_POLICIES} or not isinstance(found[_POLICIES], list):
        raise MistakeInFile(f"It must be a list under the key `{_POLICIES}`, and nothing else.")
    policies: dict[str, Policy] = {}
    for number, each in enumerate(found[_POLICIES]):
        policy_id, policy = _read_policy(each, f"{_POLICIES}[{number}]")
        if policy_id in policies:
            raise MistakeInFile(f"{_POLICIES}[{number}].{_ID}: {policy_id} is there twice.")
        policies[policy_id] = policy
    return policies


def write_policies(policies: list[Policy]) -> str:
    """What read_policies reads."""
    written = [{_ID: last_part(each.name), **to_dict(stated(each))} for each in policies]
    return _dump({_POLICIES: written})


def write_policy(policy: Policy) -> str:
    """One policy as it stands in a file, without its id."""
    return _dump(to_dict(stated(policy))) if stated(policy).ListFields() else ""


def stated(policy: Policy) -> Policy:
    """The policy without what the server sets."""
    kept = Policy()
    kept.CopyFrom(policy)
    for field in _server_fields(policy):
        kept.ClearField(field.name)
    return kept


def _read_policy(given: Any, place: str) -> tuple[str, Policy]:
    if not isinstance(given, dict):
        raise MistakeInFile(f"{place}: it must have keys and values, {_ID} among them.")
    policy_id = given.get(_ID)
    if not isinstance(policy_id, str) or not policy_id:
        raise MistakeInFile(f"{place}.{_ID}: it is missing, or no text.")
    policy = Policy()
    _fill(policy, {key: value for key, value in given.items() if key != _ID}, place)
    policy.source_registry = policy.source_registry and registry_name(policy.source_registry)
    for destination in policy.destinations:
        destination.registry = destination.registry and registry_name(destination.registry)
    return policy_id, policy


def _fill(message: Message, given: Any, place: str) -> None:
    """Puts each key where it belongs; raises with the place of what belongs nowhere."""
    if not isinstance(given, dict):
        raise MistakeInFile(f"{place}: it must have keys and values.")
    for key, value in given.items():
        field = _field(message, key, place)
        here = f"{place}.{key}"
        if field.message_type is None or field.message_type.full_name.startswith(_WELL_KNOWN):
            _fill_value(message, field, value, here)
        elif field.is_repeated:
            if not isinstance(value, list):
                raise MistakeInFile(f"{here}: it must be a list.")
            for number, each in enumerate(value):
                _fill(getattr(message, field.name).add(), each, f"{here}[{number}]")
        else:
            part = getattr(message, field.name)
            part.SetInParent()
            _fill(part, value, here)


def _field(message: Message, key: Any, place: str) -> _Field:
    fields = message.DESCRIPTOR.fields_by_name
    field = fields.get(key) or message.DESCRIPTOR.fields_by_camelcase_name.get(key)
    if field is None:
        near = get_close_matches(str(key), fields, n=1)
        hint = f" Is it {near[0]}?" if near else ""
        raise MistakeInFile(f"{place}.{key}: there is no such field.{hint}")
    if field in _server_fields(message):
        raise MistakeInFile(f"{place}.{key}: the server sets it; leave it out.")
    other = message.WhichOneof(field.containing_oneof.name) if field.containing_oneof else None
    if other is not None:
        raise MistakeInFile(f"{place}.{key}: it excludes {other}, which is there too.")
    return field


def _fill_value(message: Message, field: _Field, value: Any, place: str) -> None:
    try:
        ParseDict({field.name: value}, message)
    except ParseError as error:
        quotes = " Put it in quotes." if field.type == field.TYPE_STRING and not isinstance(value, str) else ""
        names = f" It is one of {', '.join(_names(field))}." if field.enum_type else ""
        raise MistakeInFile(f"{place}: {value!r} does not fit.{quotes}{names}") from error


def _names(field: _Field) -> Iterator[str]:
    yield from (each.name for each in field.enum_type.values if each.number)


def _server_fields(message: Message) -> list[_Field]:
    return [each for each in message.DESCRIPTOR.fields if _SERVERS & set(each.GetOptions().Extensions[field_behavior])]


class _Loader(yaml.SafeLoader):
    """YAML 1.2's plain values: `22:00` and `on` are text, and a key stands once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen or key.tag == _MERGE_KEY:
                line = key.start_mark.line + 1
                raise yaml.YAMLError(f"the key {key.value} is there twice, or merges, in line {line}.")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Puts quotes around text that the loader would take for something else."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # Unicode's line breaks are written as they are unless in double quotes, and read as spaces.
    style = '"' if _LINE_BREAKS.intersection(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
for _yaml in (_Loader, _Dumper):
    _yaml.yaml_implicit_resolvers = {}
    for _tag, _pattern, _first in (
        ("bool", r"true|false", "tf"),
        ("null", r"null|~|", ["n", "~", ""]),
        ("int", r"[-+]?[0-9]+", "-+0123456789"),
        ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ):
        _yaml.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))


def _dump(value: Any) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=10_000)
