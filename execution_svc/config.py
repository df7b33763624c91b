"""What the execution service is told at its start: variables TRANSSHIP_EXECUTION_..."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from execution_svc.domain.retention import Retention
from service_kit.config import ServiceConfig


class ExecutionConfig(ServiceConfig):
    """Beside what every service is told, where its peers are and how many flows it runs."""

    model_config = SettingsConfigDict(env_prefix="TRANSSHIP_EXECUTION_")

    registry_target: str = Field(description="Address of registry_svc, host:port.")
    policy_target: str = Field(description="Address of policy_svc, host:port.")
    job_targets: Annotated[tuple[str, ...], NoDecode] = Field(
        min_length=1, description="Addresses of the jobservice's replicas, host:port, separated by commas."
    )
    flow_workers: int = Field(10, ge=1, le=1000, description="Executions listed at a time, for each process.")
    retention_max_executions: int = Field(
        1000, ge=0, description="Ended executions kept of a policy that does not say so itself, the newest. 0: all."
    )
    retention_max_age_days: int = Field(
        90, ge=0, le=36_500, description="Days that they are kept after their end. 0: for ever."
    )

    def retention(self) -> Retention:
        age = timedelta(days=self.retention_max_age_days) if self.retention_max_age_days else None
        return Retention(max_count=self.retention_max_executions, max_age=age)

    @field_validator("job_targets", mode="before")
    @classmethod
    def _separated_by_commas(cls, value: object) -> object:
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value
