"""Lists of executions: one statement for each combination of filters, so that each is read along an index.

With `(%(policy)s = '' OR policy = %(policy)s)` one plan would have to do for both, and that of a prepared statement may
be the one that reads everything.
"""
# ruff: noqa: S608  (statements are made of constants)

from typing import Any, Final, LiteralString

from execution_svc.domain.execution import ExecutionFilter
from execution_svc.postgres.rows import EXECUTION_COLUMNS
from execution_svc.store import ExecutionCursor

_SELECT: Final = "SELECT " + EXECUTION_COLUMNS + " FROM executions"
_POLICY: Final = "policy = %(policy)s"
_STATES: Final = "state = ANY(%(states)s)"
_TRIGGERS: Final = "trigger = ANY(%(triggers)s)"
_SINCE: Final = "create_time >= %(since)s"
_BEFORE: Final = "create_time < %(before)s"
_OLDER: Final = "(create_time, id) < (%(cursor_time)s, %(cursor_id)s)"
_NEWER: Final = "(create_time, id) > (%(cursor_time)s, %(cursor_id)s)"
_NEWEST_FIRST: Final = " ORDER BY create_time DESC, id DESC LIMIT %(limit)s"
_OLDEST_FIRST: Final = " ORDER BY create_time, id LIMIT %(limit)s"


def list_statement(wanted: ExecutionFilter, after: ExecutionCursor | None) -> LiteralString:
    """The statement; `list_parameters` has what goes into it."""
    beyond = _NEWER if wanted.oldest_first else _OLDER
    conditions: list[LiteralString] = []
    conditions += [_POLICY] if wanted.policy else []
    conditions += [_STATES] if wanted.states else []
    conditions += [_TRIGGERS] if wanted.triggers else []
    conditions += [_SINCE] if wanted.created_since else []
    conditions += [_BEFORE] if wanted.created_before else []
    conditions += [beyond] if after else []
    where = " WHERE " + " AND ".join(conditions) if conditions else ""
    return _SELECT + where + (_OLDEST_FIRST if wanted.oldest_first else _NEWEST_FIRST)


def list_parameters(wanted: ExecutionFilter, after: ExecutionCursor | None, limit: int) -> dict[str, Any]:
    cursor_time, cursor_id = after or (None, None)
    return {
        "policy": wanted.policy,
        "states": [str(state) for state in wanted.states],
        "triggers": [str(trigger) for trigger in wanted.triggers],
        "since": wanted.created_since,
        "before": wanted.created_before,
        "cursor_time": cursor_time,
        "cursor_id": cursor_id,
        "limit": limit,
    }
