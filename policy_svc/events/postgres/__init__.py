"""Events in PostgreSQL."""

from policy_svc.events.postgres.events import PostgresEventStore
from policy_svc.events.postgres.outbox import PostgresOutbox
from policy_svc.events.postgres.sources import PostgresSourceStore

__all__ = ["PostgresEventStore", "PostgresOutbox", "PostgresSourceStore"]
