"""Starts the registry service: `python -m registry_svc`."""

from registry_svc.app import create_app
from registry_svc.config import RegistryConfig
from service_kit.config import load
from service_kit.run import run_service

if __name__ == "__main__":
    run_service("registry_svc", load(RegistryConfig), create_app)
