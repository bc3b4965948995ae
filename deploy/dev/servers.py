"""Throw-away servers for measurements and comparisons: each listens on loopback, on a port of its own, with durability off."""
import glob
import os
import shutil
import socket
import subprocess
import sys
import time


def as_user(user, command):
    """Servers refuse to run as root."""
    if os.getuid() != 0:
        return command
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def place(home, name, user):
    """A directory of the server's own."""
    os.makedirs(f"{home}/{name}", exist_ok=True)
    os.chmod(home, 0o755)
    if os.getuid() == 0:
        shutil.chown(f"{home}/{name}", user)
    return f"{home}/{name}"


def until_up(name, probe, log):
    for _ in range(600):
        if subprocess.run(probe, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
            return
        time.sleep(0.1)
    sys.exit(f"{name} did not start; see {log}")


class Postgres:
    """The newest Postgres that is installed."""

    def __init__(self, home, **options):
        self.data, programs = place(home, "pg", "postgres"), self.programs()
        if not os.path.exists(f"{self.data}/PG_VERSION"):
            init = [f"{programs}/initdb", "-D", self.data, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-U", "bench"]
            subprocess.run(as_user("postgres", init), check=True, stdout=subprocess.DEVNULL, cwd="/")
        self.port = free_port()
        options = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.data,
            "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "timezone": "UTC", **options,
        }
        command = [f"{programs}/postgres", "-D", self.data]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        log = open(f"{home}/pg.log", "ab")
        self.process = subprocess.Popen(as_user("postgres", command), stdout=log, stderr=log, cwd="/")
        until_up("Postgres", self.psql("select 1"), f"{home}/pg.log")

    @staticmethod
    def programs():
        for folder in sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True):
            return folder
        return os.path.dirname(shutil.which("initdb"))

    def psql(self, sql):
        return ["psql", "-XqAt", "-h", "127.0.0.1", "-p", str(self.port), "-U", "bench", "-d", "postgres", "-c", sql]

    def ask(self, sql):
        return subprocess.run(self.psql(sql), check=True, capture_output=True, text=True).stdout.strip()

    def stop(self):
        self.process.send_signal(2)
        self.process.wait()


class MariaDb:
    """The MariaDB that is installed, with a database `shop` and a user `bench` without a password."""

    def __init__(self, home, **options):
        self.data = place(home, "maria", "mysql")
        if not os.path.exists(f"{self.data}/mysql"):
            init = ["mariadb-install-db", "--no-defaults", f"--datadir={self.data}", "--auth-root-authentication-method=normal", "--skip-test-db"]
            subprocess.run(as_user("mysql", init), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
        self.port = free_port()
        program = shutil.which("mariadbd", path="/usr/sbin:" + os.environ["PATH"])
        command = [program, "--no-defaults", f"--datadir={self.data}", f"--tmpdir={self.data}", f"--socket={self.data}/sock", f"--port={self.port}"]
        command += ["--bind-address=127.0.0.1", "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--sync-binlog=0"]
        command += [f"--{name}" if value is None else f"--{name}={value}" for name, value in options.items()]
        log = open(f"{home}/maria.log", "ab")
        self.process = subprocess.Popen(as_user("mysql", command), stdout=log, stderr=log, cwd="/")
        until_up("MariaDB", self.client("root", "select 1"), f"{home}/maria.log")
        self.ask("create database if not exists shop; create user if not exists bench@'127.0.0.1'; grant all on shop.* to bench@'127.0.0.1'")

    def client(self, user, sql):
        return ["mariadb", "--no-defaults", "--protocol=tcp", "-h127.0.0.1", f"-P{self.port}", f"-u{user}", "-BN", "-e", sql]

    def ask(self, sql):
        return subprocess.run(self.client("root", sql), check=True, capture_output=True, text=True).stdout.strip()

    def stop(self):
        self.process.terminate()
        self.process.wait()
