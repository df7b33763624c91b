"""`python -m jobservice`: one process that serves JobService and runs jobs."""

from jobservice.app import build
from jobservice.config import JobConfig
from service_kit.config import load
from service_kit.run import run_service


def main() -> None:
    run_service("jobservice", load(JobConfig), build)


if __name__ == "__main__":
    main()
