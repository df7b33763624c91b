"""The stores in PostgreSQL."""

from execution_svc.postgres.delegation import PostgresDelegationStore
from execution_svc.postgres.executions import PostgresExecutionStore
from execution_svc.postgres.flows import PostgresFlowStore

__all__ = ["PostgresDelegationStore", "PostgresExecutionStore", "PostgresFlowStore"]
