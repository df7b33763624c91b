"""What `transship up --detach` leaves behind: `python -m transship.local <state directory> <jobservice processes>`."""

import asyncio
import os
import sys
from pathlib import Path

from service_kit.errors import ServiceError
from service_kit.logging import LogFormat, configure_logging
from service_kit.migrations import MigrationError
from transship.local.commands import DATABASE_URL_VARIABLE, up
from transship.local.state import StateDir


def main() -> None:
    configure_logging(service="up", log_format=LogFormat.TEXT, level="info")
    state_dir, jobservice_processes = sys.argv[1:]
    database_url = os.environ.get(DATABASE_URL_VARIABLE)
    work = up(
        StateDir(Path(state_dir)),
        on_ready=lambda _: None,
        database_url=database_url,
        jobservice_processes=int(jobservice_processes),
    )
    try:
        asyncio.run(work)
    except (ServiceError, MigrationError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
