"""The stores in PostgreSQL."""

from execution_svc.postgres.delegation import PostgresDelegationStore
from execution_svc.postgres.executions import PostgresExecutionStore
from execution_svc.postgres.flows import PostgresFlowStore
from execution_svc.postgres.forgetting import PostgresWrittenTags
from execution_svc.postgres.history import PostgresHistory
from execution_svc.postgres.retention import PostgresRetentionStore
from execution_svc.postgres.written_pages import PostgresWrittenPages

__all__ = [
    "PostgresDelegationStore",
    "PostgresExecutionStore",
    "PostgresFlowStore",
    "PostgresHistory",
    "PostgresRetentionStore",
    "PostgresWrittenPages",
    "PostgresWrittenTags",
]
