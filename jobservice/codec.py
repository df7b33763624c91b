"""Between our values and the JSON that the tables hold."""

import json
from collections.abc import Mapping
from typing import Any, Final

from psycopg.types.json import Jsonb
from pydantic import TypeAdapter

from jobservice.domain import Work
from jobservice.transfer import Failure, ReferenceResult

_WORK: Final[TypeAdapter[Work]] = TypeAdapter(Work)
_FAILURE: Final = TypeAdapter(Failure)
_RESULTS: Final = TypeAdapter(tuple[ReferenceResult, ...])


def mapping_to_json(mapping: Mapping[str, object]) -> Jsonb:
    return Jsonb(dict(mapping), dumps=_dumps)


def work_to_json(work: Work) -> Jsonb:
    return Jsonb(_WORK.dump_python(work, mode="json"), dumps=_dumps)


def work_from_json(value: Any) -> Work:
    return _WORK.validate_python(value)


def failure_to_json(failure: Failure | None) -> Jsonb | None:
    return None if failure is None else Jsonb(_FAILURE.dump_python(failure, mode="json"), dumps=_dumps)


def failure_from_json(value: Any) -> Failure | None:
    return None if value is None else _FAILURE.validate_python(value)


def results_to_json(results: tuple[ReferenceResult, ...]) -> Jsonb:
    return Jsonb(_RESULTS.dump_python(results, mode="json"), dumps=_dumps)


def results_from_json(value: Any) -> tuple[ReferenceResult, ...]:
    return _RESULTS.validate_python(value)


def storable(text: str) -> str:
    """PostgreSQL stores neither NUL nor half a surrogate pair, and registries put anything into their messages."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()


def _dumps(value: Any) -> str:
    return storable(json.dumps(value, ensure_ascii=False).replace("\\u0000", "\\ufffd"))
