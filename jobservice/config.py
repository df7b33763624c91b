"""What the job service is told by its environment, `TRANSSHIP_JOB_*`."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from service_kit.config import ServiceConfig


class JobConfig(ServiceConfig):
    """Settings of one jobservice process."""

    model_config = SettingsConfigDict(env_prefix="TRANSSHIP_JOB_")

    registry_target: str = Field(description="Address of registry_svc, host:port.")
    retention_days: float = Field(30.0, gt=0, description="Days that ended jobs and their logs are kept.")
    workers: int = Field(32, ge=1, le=1000, description="Jobs that run at once in this process.")
