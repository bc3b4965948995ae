"""Times whole commands from outside, in turn (A B C, A B C, …), so that a machine whose speed drifts hits all alike.

Prints medians of wall time, user and system CPU of the command, and its peak memory; counts the rows in what was written, since
exit 0 is no proof that they are there. The server shares the cores with what is measured, so only ratios within one run mean much.
A child's peak memory begins at this process's own before exec, so nothing large is ever imported here.
"""
import datetime
import glob
import importlib.metadata
import importlib.util
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time

HOME = os.environ["BENCH_DIR"]
SCALE = float(os.environ["SCALE"])
ROUNDS = int(os.environ["ROUNDS"])
LARGE = os.environ.get("BENCH_LARGE")
OUT = f"{HOME}/out"


def as_postgres(command):
    """Postgres refuses to run as root."""
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command] if os.getuid() == 0 else command


def server_programs():
    for folder in sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True):
        return folder
    return os.path.dirname(shutil.which("initdb"))


class Server:
    """A throw-away Postgres; durability is off, since reading is what is measured."""

    def __init__(self):
        self.data, programs = f"{HOME}/pg", server_programs()
        os.makedirs(self.data, exist_ok=True)
        os.chmod(HOME, 0o755)
        if os.getuid() == 0:
            shutil.chown(self.data, "postgres")
        if not os.path.exists(f"{self.data}/PG_VERSION"):
            init = [f"{programs}/initdb", "-D", self.data, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-U", "bench"]
            subprocess.run(as_postgres(init), check=True, stdout=subprocess.DEVNULL, cwd="/")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        options = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.data, "shared_buffers": "3GB",
            "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_wal_size": "8GB", "autovacuum": "off",
            "jit": "off", "wal_level": "minimal", "max_wal_senders": 0, "timezone": "UTC",
        }
        command = [f"{programs}/postgres", "-D", self.data]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        log = open(f"{HOME}/pg.log", "ab")
        self.process = subprocess.Popen(as_postgres(command), stdout=log, stderr=log, cwd="/")
        for _ in range(300):
            if subprocess.run(self.psql("select 1"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
                return
            time.sleep(0.1)
        sys.exit(f"Postgres did not start; see {HOME}/pg.log")

    def psql(self, sql):
        return ["psql", "-XqAt", "-h", "127.0.0.1", "-p", str(self.port), "-U", "bench", "-d", "postgres", "-c", sql]

    def ask(self, sql):
        return subprocess.run(self.psql(sql), check=True, capture_output=True, text=True).stdout.strip()

    def seed(self, scale):
        """One schema for each scale, moved out of `public` once it is full."""
        schema = f"sf{scale:g}".replace(".", "_")
        if self.ask(f"select to_regclass('{schema}.lineitem') is not null") != "t":
            url = f"postgresql://bench@127.0.0.1:{self.port}/postgres"
            subprocess.run(["waybill-seed", "postgres", url, str(scale), "1", "10"], check=True, stdout=subprocess.DEVNULL)
            self.ask(f"create schema {schema}")
            for table in ("orders", "lineitem"):
                self.ask(f"alter table public.{table} set schema {schema}")
            self.ask("create table if not exists public.one_row as select 1::bigint id, 'x'::text t")
            self.ask(f"vacuum (freeze, analyze) {schema}.lineitem")
            self.ask("checkpoint")
        return schema

    def stop(self):
        self.process.send_signal(2)
        self.process.wait()


def spec(server, table, parallel):
    path = f"{HOME}/{table}-{parallel}.waybill.yaml"
    with open(path, "w") as file:
        file.write(f"""waybill: 1
connections:
  shop: {{ type: postgres, host: 127.0.0.1, port: {server.port}, database: postgres, user: bench, tls: disable }}
  lake: {{ type: local, path: "{OUT}" }}
pipelines:
  bench:
    from: shop
    to: lake
    limits: {{ parallel: {parallel} }}
    streams:
      {table}: {{ load: full }}
""")
    return path


def waybill(server, table, parallel, memory):
    return ["waybill-worker", "once", "--json", "--memory", memory, "--spec", spec(server, table, parallel)]


def duckdb(server, table, threads):
    scanner = os.path.dirname(importlib.util.find_spec("duckdb_extension_postgres_scanner").origin)
    extension = glob.glob(f"{scanner}/extensions/v{importlib.metadata.version('duckdb')}/*.duckdb_extension")[0]
    code = f"""import duckdb
d = duckdb.connect(config={{'threads': {threads}}})
d.execute("load '{extension}'")
d.execute("attach 'dbname=postgres host=127.0.0.1 port={server.port} user=bench' as src (type postgres, read_only)")
d.execute("copy (select * from src.{table}) to '{OUT}/x.parquet' (format parquet, compression zstd)")"""
    return [sys.executable, "-c", code]


def once(command):
    shutil.rmtree(OUT, ignore_errors=True)
    os.makedirs(OUT)
    os.sync()
    with open(f"{HOME}/commands.log", "ab") as log, open(f"{HOME}/said", "wb") as said:
        began = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command[0]} ended with {process.returncode}; see {HOME}/commands.log")
    files = glob.glob(f"{OUT}/**/*.parquet", recursive=True)
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, sum(map(os.path.getsize, files)) / 1e6


COUNT = """import glob, sys, pyarrow.parquet as pq
print(sum(pq.ParquetFile(f).metadata.num_rows for f in glob.glob(sys.argv[1] + '/**/*.parquet', recursive=True)))"""


def rows_written():
    return int(subprocess.run([sys.executable, "-c", COUNT, OUT], check=True, capture_output=True, text=True).stdout)


def rows_reported():
    """What the worker itself says that it delivered: its receipt."""
    with open(f"{HOME}/said") as file:
        return sum(stream["rows"] for stream in json.load(file)["streams"])


class Limits:
    """What the project promises of itself: each is told with its figure, and a missed one ends the command with 1."""

    def __init__(self):
        self.missed = 0

    def hold(self, what, figure, most, unit=""):
        self.missed += figure > most
        print(f"{'held  ' if figure <= most else 'MISSED'}  {what}: {figure:.2f}{unit} of at most {most:g}{unit}")


def compare(title, rows, commands, rounds):
    results = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            results[name].append(once(command))
            if not name.startswith("psql") and (written := rows_written()) != rows:
                sys.exit(f"{name}: {written} rows in the files, {rows} at the source")
            if name.startswith("waybill") and (reported := rows_reported()) != rows:
                sys.exit(f"{name}: reported {reported} rows, {rows} at the source")
    print(f"\n## {title} ({rows:,} rows, medians of {rounds})")
    print(f"{'':34s} {'wall s':>8s} {'min-max':>14s} {'cpu s':>8s} {'peak MiB':>9s} {'files MB':>9s}")
    medians = {}
    for name, runs in results.items():
        wall, cpu, peak, size = (statistics.median(run[i] for run in runs) for i in range(4))
        medians[name] = dict(wall=wall, cpu=cpu, peak=peak, size=size)
        walls = f"{min(run[0] for run in runs):6.2f}-{max(run[0] for run in runs):6.2f}"
        print(f"{name:34s} {wall:8.2f} {walls:>14s} {cpu:8.2f} {peak:9.0f} {size:9.1f}")
    return medians


def whole_system(server):
    """Seconds from the trigger of a run of one row to `succeeded`, as the orchestrator tells them: a new worker process, its
    enrolment, the copy and the commit."""
    state = f"{HOME}/system"
    shutil.rmtree(state, ignore_errors=True)
    os.makedirs(OUT, exist_ok=True)
    environment = {**os.environ, "WAYBILL_STATE": state, "HOME": state}
    for port in ("API", "WORKER", "PRIVATE"):
        environment[f"WAYBILL__SERVER__{port}"] = "127.0.0.1:0"

    def waybill(*words, **more):
        done = subprocess.run(["waybill", *words], env=environment, check=True, capture_output=True, text=True, **more)
        return done.stdout

    with open(f"{HOME}/commands.log", "ab") as log:
        orchestrator = subprocess.Popen(["waybill-orchestrator", "serve", "--dev", "--state", state], env=environment, stderr=log)
    try:
        while not os.path.exists(f"{state}/ports.json"):
            if orchestrator.poll() is not None:
                sys.exit(f"the orchestrator did not start; see {HOME}/commands.log")
            time.sleep(0.05)
        waybill("login", "--email", "bench@example.com", "--password-stdin", input="a long enough phrase to measure with")
        waybill("apply", "-f", spec(server, "public.one_row", 1))
        took = []
        for _ in range(ROUNDS):
            run = json.loads(waybill("run", "start", "bench", "--watch", "-o", "json"))
            run = run.get("run", run)
            if run["state"] != "succeeded":
                sys.exit(f"the run ended {run['state']}; see {HOME}/commands.log")
            at = [datetime.datetime.fromisoformat(run[name]) for name in ("created_at", "ended_at")]
            took.append((at[1] - at[0]).total_seconds())
    finally:
        orchestrator.terminate()
        orchestrator.wait()
    print(f"\n## whole system: trigger of a run of one row to `succeeded`\n{statistics.median(took):.2f} s ({min(took):.2f}-{max(took):.2f}, {ROUNDS} runs)")
    return took


def main():
    server = Server()
    try:
        schema = server.seed(SCALE)
        table = f"{schema}.lineitem"
        rows = int(server.ask(f"select count(*) from {table}"))
        half = server.ask(f"select pg_relation_size('{table}') / 8192 / 2")
        copy = "copy (select * from {t} where ctid {op} '({h},0)') to stdout (format binary)"
        halves = [" ".join(["psql -XqAt -h 127.0.0.1 -p", str(server.port), "-U bench -d postgres -c",
                            f'"{copy.format(t=table, op=op, h=half)}"', ">/dev/null"]) for op in ("<", ">=")]
        commands = {
            "waybill, two streams, 256 MiB": waybill(server, table, 2, "256MiB"),
            "waybill, one stream, 128 MiB": waybill(server, table, 1, "128MiB"),
            "duckdb, two threads": duckdb(server, table, 2),
            "duckdb, one thread": duckdb(server, table, 1),
            "psql COPY binary": ["sh", "-c", " ".join(server.psql("")[:-1]) + f' "copy {table} to stdout (format binary)" >/dev/null'],
            "psql COPY binary, two halves": ["sh", "-c", f"{halves[0]} & {halves[1]}; wait"],
        }
        large = compare(f"Postgres lineitem, scale {SCALE:g}, to Parquet zstd", rows, commands, ROUNDS)
        two, one = large["waybill, two streams, 256 MiB"], large["waybill, one stream, 128 MiB"]
        peer = large["duckdb, two threads"]
        print(f"two streams / duckdb with two threads: wall {two['wall'] / peer['wall']:.2f}, cpu {two['cpu'] / peer['cpu']:.2f}")
        print(f"two streams / two COPY halves: wall {two['wall'] / large['psql COPY binary, two halves']['wall']:.2f}")
        print(f"files: two streams / duckdb with two threads {two['size'] / peer['size']:.2f}")
        print(f"one stream / psql COPY binary: wall {one['wall'] / large['psql COPY binary']['wall']:.2f}")
        small = compare("one row: start of the process to the commit", 1, {
            "waybill": waybill(server, "public.one_row", 1, "128MiB"), "duckdb": duckdb(server, "public.one_row", 1)}, ROUNDS)
        system = whole_system(server)
        grown = {}
        if LARGE:
            table = f"{server.seed(float(LARGE))}.lineitem"
            rows = int(server.ask(f"select count(*) from {table}"))
            grown = compare(f"Postgres lineitem, scale {LARGE}", rows, {
                "waybill, two streams, 256 MiB": waybill(server, table, 2, "256MiB"),
                "waybill, one stream, 128 MiB": waybill(server, table, 1, "128MiB")}, ROUNDS)
        # The limits are those of scale 1: what a start costs weighs more in a smaller table.
        limits = Limits()
        if SCALE >= 1:
            print(f"\n## limits at scale {SCALE:g}")
            limits.hold("two streams: wall to duckdb's", two["wall"] / peer["wall"], 0.85)
            limits.hold("two streams: CPU to duckdb's", two["cpu"] / peer["cpu"], 0.8)
            limits.hold("one stream: wall to psql COPY's", one["wall"] / large["psql COPY binary"]["wall"], 1.05)
            limits.hold("two streams: peak", two["peak"], 256, " MiB")
            limits.hold("one stream: peak", one["peak"], 128, " MiB")
            limits.hold("one row: start to commit", small["waybill"]["wall"], 0.15, " s")
            limits.hold("one row: trigger to succeeded", statistics.median(system), 1.0, " s")
            for name, value in grown.items():
                limits.hold(f"{name}, scale {LARGE}: peak to scale {SCALE:g}", value["peak"] / large[name]["peak"], 1.1)
        with open(f"{HOME}/results.json", "w") as file:
            json.dump({"scale": SCALE, "rounds": ROUNDS, "large": large, "one_row": small, "system": system}, file, indent=1)
    finally:
        server.stop()
    return 1 if limits.missed else 0


sys.exit(main())
