"""What the policy service is told at its start."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from service_kit.config import ServiceConfig


class PolicyConfig(ServiceConfig):
    model_config = SettingsConfigDict(env_prefix="TRANSSHIP_POLICY_")

    registry_target: str = Field(description="Address of the registry service, host:port.")
