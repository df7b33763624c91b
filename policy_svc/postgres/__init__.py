"""Policies and their schedules in PostgreSQL."""

from policy_svc.postgres.policies import PostgresPolicyStore
from policy_svc.postgres.schedules import PostgresScheduleStore

__all__ = ["PostgresPolicyStore", "PostgresScheduleStore"]
