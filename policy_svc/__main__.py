"""Starts the policy service: `python -m policy_svc`."""

from policy_svc.app import app
from policy_svc.config import PolicyConfig
from service_kit.config import load
from service_kit.run import run_service

if __name__ == "__main__":
    run_service("policy_svc", load(PolicyConfig), app)
