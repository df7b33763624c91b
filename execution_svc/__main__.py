"""`python -m execution_svc`"""

from execution_svc.app import build
from execution_svc.config import ExecutionConfig
from service_kit.config import load
from service_kit.run import run_service

if __name__ == "__main__":
    run_service("execution_svc", load(ExecutionConfig), build)
