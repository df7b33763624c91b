"""What the policy service is told at its start."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from service_kit.config import ServiceConfig


class PolicyConfig(ServiceConfig):
    model_config = SettingsConfigDict(env_prefix="TRANSSHIP_POLICY_")

    registry_target: str = Field(description="Address of the registry service, host:port.")
    execution_target: str = Field(description="Address of the execution service, host:port.")
    fast_schedules: bool = Field(False, description="Whether schedules may run every minute or more often.")
    events_listen: str = Field(
        "127.0.0.1:0", description="Address for the notifications of registries, host:port. Port 0 takes a free one."
    )
    events_port_file: Path | None = Field(None, description="File that gets the bound host:port of that address.")
