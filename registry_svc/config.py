"""Settings, from variables that begin with TRANSSHIP_REGISTRY_."""

from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from registry_svc.service.health import CHECK_INTERVAL_S
from registry_svc.vault import KeyRing
from service_kit.config import ServiceConfig


class RegistryConfig(ServiceConfig):
    """What the registry service is told at its start."""

    model_config = SettingsConfigDict(env_prefix="TRANSSHIP_REGISTRY_")

    credential_keys_file: Path = Field(
        description="File of the keys that encrypt passwords: lines of keyid:base64 of 32 bytes. The first encrypts."
    )
    policy_target: str = Field(description="Address of the policy service, host:port.")
    health_interval_s: float = Field(
        CHECK_INTERVAL_S, gt=0, description="Seconds between two checks of the same registry, give or take a tenth."
    )

    @field_validator("credential_keys_file")
    @classmethod
    def _keys_can_be_read(cls, path: Path) -> Path:
        KeyRing.read(path)
        return path
