"""Configuration from the environment and a secrets directory; every mistake is reported before anything starts."""

import os
import sys
from pathlib import Path
from typing import Final, Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service_kit.logging import LogFormat
from service_kit.tls import ClientTls, ServerTls

SECRETS_DIR_VARIABLE: Final = "TRANSSHIP_SECRETS_DIR"
EXIT_BAD_CONFIGURATION: Final = 2


class ServiceConfig(BaseSettings):
    """What every service is told at its start. A service adds its own fields and its `env_prefix`."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    listen: str = Field("127.0.0.1:0", description="Address to serve on, host:port. Port 0 takes a free one.")
    port_file: Path | None = Field(None, description="File that gets the bound host:port once the service serves.")
    database_url: SecretStr = Field(description="PostgreSQL connection URL.")
    database_pool_size: int = Field(10, ge=1, le=1000, description="Connections at most, for each process.")
    log_format: LogFormat = Field(LogFormat.JSON, description="json or text (key=value).")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe level shown.")
    drain_timeout_s: float = Field(30.0, ge=0, description="Seconds for running calls to finish after SIGTERM.")
    tls_cert_file: Path | None = Field(None, description="Certificate of this service, PEM. None: no TLS.")
    tls_key_file: Path | None = Field(None, description="Key of that certificate, PEM.")
    tls_client_ca_file: Path | None = Field(None, description="Authority whose certificates callers must show, PEM.")
    tls_peer_ca_file: Path | None = Field(None, description="Authority of the services called, PEM. None: no TLS.")

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> "ServiceConfig":
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_cert_file and tls_key_file go together")
        if self.tls_client_ca_file is not None and self.tls_cert_file is None:
            raise ValueError("tls_client_ca_file needs tls_cert_file")
        return self

    def server_tls(self) -> ServerTls | None:
        if self.tls_cert_file is None or self.tls_key_file is None:
            return None
        return ServerTls(cert=self.tls_cert_file, key=self.tls_key_file, client_ca=self.tls_client_ca_file)

    def client_tls(self) -> ClientTls | None:
        if self.tls_peer_ca_file is None:
            return None
        return ClientTls(ca=self.tls_peer_ca_file, cert=self.tls_cert_file, key=self.tls_key_file)


_Config = TypeVar("_Config", bound=ServiceConfig)


def load(config_class: type[_Config]) -> _Config:
    """The configuration, or an exit with code 2 after a line on standard error for each mistake."""
    mistakes = _unknown_variables(config_class)
    try:
        config = config_class(_secrets_dir=os.environ.get(SECRETS_DIR_VARIABLE))  # type: ignore[call-arg]  # hidden
    except ValidationError as error:
        mistakes += [_line(config_class, each["loc"], each["msg"]) for each in error.errors()]
    if mistakes:
        sys.stderr.write("".join(f"{mistake}\n" for mistake in mistakes))
        raise SystemExit(EXIT_BAD_CONFIGURATION)
    return config


def _unknown_variables(config_class: type[ServiceConfig]) -> list[str]:
    """pydantic-settings ignores variables that it does not know; a misspelt one would silently do nothing."""
    prefix = _prefix(config_class)
    known = {f"{prefix}{name}".upper() for name in config_class.model_fields}
    given = [name for name in os.environ if prefix and name.upper().startswith(prefix)]
    return [f"{name}: there is no such setting" for name in sorted(given) if name.upper() not in known]


def _line(config_class: type[ServiceConfig], location: tuple[int | str, ...], message: str) -> str:
    if not location:
        return message
    return f"{_prefix(config_class)}{'.'.join(map(str, location)).upper()}: {message}"


def _prefix(config_class: type[ServiceConfig]) -> str:
    return config_class.model_config.get("env_prefix", "").upper()
