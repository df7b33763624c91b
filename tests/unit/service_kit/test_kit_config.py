"""Configuration: what is accepted, and how mistakes are told."""

from pathlib import Path

import pytest
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from service_kit.config import ServiceConfig, load


class TeaConfig(ServiceConfig):
    model_config = SettingsConfigDict(env_prefix="TEST_TEA_")

    cups: int = Field(1, description="Cups.")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("TEST_TEA_DATABASE_URL", "postgresql://user:hunter2@db/tea")
    return monkeypatch


def mistakes(capsys: pytest.CaptureFixture[str]) -> list[str]:
    with pytest.raises(SystemExit) as caught:
        load(TeaConfig)
    assert caught.value.code == 2
    return capsys.readouterr().err.splitlines()


def test_fields_come_from_the_environment(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("TEST_TEA_CUPS", "3")
    config = load(TeaConfig)
    assert (config.cups, config.listen) == (3, "127.0.0.1:0")
    assert "hunter2" not in repr(config)


def test_secrets_come_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "test_tea_database_url").write_text("postgresql://from-a-file/tea\n")
    monkeypatch.setenv("TRANSSHIP_SECRETS_DIR", str(tmp_path))
    assert load(TeaConfig).database_url.get_secret_value() == "postgresql://from-a-file/tea"


def test_all_mistakes_are_told_at_once(environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    environment.setenv("TEST_TEA_CUPS", "many")
    environment.setenv("TEST_TEA_SUGAR", "2")
    environment.setenv("TEST_TEA_LOG_LEVEL", "loud")
    environment.delenv("TEST_TEA_DATABASE_URL")
    names = [line.partition(":")[0] for line in mistakes(capsys)]
    assert sorted(names) == ["TEST_TEA_CUPS", "TEST_TEA_DATABASE_URL", "TEST_TEA_LOG_LEVEL", "TEST_TEA_SUGAR"]


def test_a_certificate_without_its_key_is_a_mistake(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("TEST_TEA_TLS_CERT_FILE", "tea.pem")
    assert mistakes(capsys) == ["Value error, tls_cert_file and tls_key_file go together"]


def test_a_wrong_value_is_not_repeated(environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    environment.setenv("TEST_TEA_CUPS", "hunter2")
    assert "hunter2" not in "".join(mistakes(capsys))
