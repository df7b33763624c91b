"""What the execution service is told at its start: variables TRANSSHIP_EXECUTION_..."""

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

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

    @field_validator("job_targets", mode="before")
    @classmethod
    def _separated_by_commas(cls, value: object) -> object:
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value
