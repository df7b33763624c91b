"""What several transactions have in common: locking executions before their tasks, and ending them after."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import psycopg

from execution_svc.domain.execution import NOTHING_TO_REPLICATE, ExecutionId

# The order keeps two transactions from waiting for each other.
_LOCK_OF_TASKS: Final = """
SELECT id FROM executions WHERE id IN (SELECT execution_id FROM tasks WHERE id = ANY(%(tasks)s))
 ORDER BY id FOR NO KEY UPDATE
"""

# Without its token the flow's worker can write nothing more.
_STOP: Final = """
UPDATE executions
   SET state = 'STOPPING', state_message = %(message)s, flow_token = NULL, flow_leased_until = NULL
 WHERE id = %(execution)s AND state IN ('PENDING', 'RUNNING')
"""

# What has no job cannot be running anywhere: it ends here and now.
_STOP_WAITING: Final = """
UPDATE tasks SET state = 'STOPPED', end_time = %(now)s
 WHERE execution_id = %(execution)s AND state = 'PENDING' AND NOT delegated
"""

# What was to come after the copies does not, when one of them has failed; a retry runs both again.
_GIVE_UP: Final = """
UPDATE tasks SET state = 'STOPPED', end_time = %(now)s
 WHERE execution_id IN (SELECT id FROM executions
                         WHERE id = ANY(%(executions)s) AND listing_complete AND tasks_failed > 0 AND tasks_pending > 0)
   AND after_copies AND state = 'PENDING' AND NOT delegated
   AND EXISTS (SELECT FROM tasks AS copies
                WHERE copies.execution_id = tasks.execution_id AND copies.state = 'FAILED' AND NOT copies.after_copies)
   AND NOT EXISTS (SELECT FROM tasks AS copies
                    WHERE copies.execution_id = tasks.execution_id AND copies.state IN ('PENDING', 'RUNNING')
                      AND NOT copies.after_copies)
"""

_SETTLE: Final = """
UPDATE executions
   SET state = CASE WHEN failure IS NOT NULL OR tasks_failed > 0 THEN 'FAILED'
                    WHEN tasks_stopped > 0 OR NOT listing_complete THEN 'STOPPED'
                    ELSE 'SUCCEEDED' END,
       state_message = CASE WHEN listing_complete AND tasks_total = 0 AND state_message = '' THEN %(nothing)s
                            ELSE state_message END,
       end_time = %(now)s,
       flow_token = NULL,
       flow_leased_until = NULL
 WHERE id = ANY(%(executions)s)
   AND state IN ('RUNNING', 'STOPPING') AND tasks_pending = 0 AND tasks_running = 0
   AND (listing_complete OR failure IS NOT NULL OR state = 'STOPPING')
"""

Connection = psycopg.AsyncConnection[Any]


async def lock_executions_of(conn: Connection, tasks: Sequence[str]) -> list[ExecutionId]:
    cursor = await conn.execute(_LOCK_OF_TASKS, {"tasks": list(tasks)})
    return [ExecutionId(execution) for (execution,) in await cursor.fetchall()]


async def stop(conn: Connection, execution: ExecutionId, now: datetime, *, message: str = "") -> None:
    """Ends what has no job; the execution is STOPPING until its jobs have let go. Of one that has ended, nothing."""
    await conn.execute(_STOP, {"execution": execution, "message": message})
    await stop_waiting(conn, execution, now)
    await settle(conn, [execution], now)


async def stop_waiting(conn: Connection, execution: ExecutionId, now: datetime) -> None:
    await conn.execute(_STOP_WAITING, {"execution": execution, "now": now})


async def settle(conn: Connection, executions: Sequence[ExecutionId], now: datetime) -> None:
    """Ends those of the executions that nothing is left to do for: failed before stopped before succeeded."""
    parameters = {"executions": list(executions), "nothing": NOTHING_TO_REPLICATE, "now": now}
    await conn.execute(_GIVE_UP, parameters)
    await conn.execute(_SETTLE, parameters)
