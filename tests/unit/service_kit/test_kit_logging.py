"""Logs: one line an event, without secrets."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from service_kit.logging import LogFormat, configure_logging
from service_kit.secret import Secret


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Puts the logging of the test run back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_json_line_has_the_event_its_fields_and_the_service(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(service="tea_svc", log_format=LogFormat.JSON, level="info")
    structlog.get_logger("kettle").info("boiled", cups=3)
    written = capsys.readouterr().err
    line = json.loads(written)
    assert line.items() >= {"event": "boiled", "cups": 3, "service": "tea_svc", "level": "info"}.items()


def test_lines_of_libraries_look_alike(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(service="tea_svc", log_format=LogFormat.TEXT, level="info")
    logging.getLogger("library").warning("slow %s", "tea")
    written = capsys.readouterr().err
    assert 'level=warning event="slow tea"' in written
    assert written.count("\n") == 1


def test_less_severe_lines_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(service="tea_svc", log_format=LogFormat.JSON, level="warning")
    structlog.get_logger().info("quiet")
    written = capsys.readouterr().err
    assert written == ""


@pytest.mark.parametrize("log_format", list(LogFormat))
def test_secrets_are_not_written(capsys: pytest.CaptureFixture[str], log_format: LogFormat) -> None:
    configure_logging(service="tea_svc", log_format=log_format, level="info")
    structlog.get_logger().info(
        "login", password="hunter2", headers={"Authorization": "Bearer hunter2"}, made=Secret("hunter2")
    )
    written = capsys.readouterr().err
    assert "hunter2" not in written
    assert "***" in written


def test_a_traceback_stays_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(service="tea_svc", log_format=LogFormat.JSON, level="info")
    try:
        int("spilled")
    except ValueError:
        structlog.get_logger().exception("accident")
    written = capsys.readouterr().err
    line = json.loads(written)
    assert "ValueError: invalid literal" in line["exception"]


def test_a_secret_prints_as_stars_and_gives_its_text_when_asked() -> None:
    secret = Secret("hunter2")
    assert (str(secret), repr(secret), f"{secret}") == ("***", "Secret('***')", "***")
    assert secret.reveal() == "hunter2"
    assert secret == Secret("hunter2") != Secret("other")
