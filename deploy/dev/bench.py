"""The benchmark: Waybill beside other tools, from PostgreSQL to Parquet (also in S3, and of a wide table), to CSV and to PostgreSQL, from CSV and from
MariaDB. CASES chooses among them."""
import datetime
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

import bench_sources
import bench_store
import bench_text
import bench_wide
import measure
import servers
from measure import HOME, OUT, ROUNDS, Limits, compare
from peers import extension

SCALE = float(os.environ["SCALE"])
LARGE = os.environ.get("BENCH_LARGE")
ALL = "postgres wide text target store csv mariadb"
CASES = os.environ.get("CASES", ALL).split()


class Server(servers.Postgres):
    """A Postgres tuned for reading, which is what is measured."""

    def __init__(self):
        super().__init__(HOME, shared_buffers="3GB", max_wal_size="8GB", autovacuum="off", jit="off", wal_level="minimal", max_wal_senders=0)

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


def waybill(server, table, parallel, memory):
    connection = f"{{ type: postgres, host: 127.0.0.1, port: {server.port}, database: postgres, user: bench, tls: disable }}"
    pipeline = f"    limits: {{ parallel: {parallel} }}\n    streams:\n      {table}: {{ load: full }}\n"
    return measure.waybill(f"{table}-{parallel}", connection, pipeline, memory)


def duckdb(server, table, threads):
    code = f"""import duckdb
d = duckdb.connect(config={{'threads': {threads}}})
d.execute("load '{extension('postgres_scanner')}'")
d.execute("attach 'dbname=postgres host=127.0.0.1 port={server.port} user=bench' as src (type postgres, read_only)")
d.execute("copy (select * from src.{table}) to '{OUT}/x.parquet' (format parquet, compression zstd)")"""
    return [sys.executable, "-c", code]


def whole_system(measured):
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
        waybill("apply", "-f", measured[-1])
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


def postgres(server, schema, limits):
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
        "psql COPY binary > /dev/null": ["sh", "-c", " ".join(server.psql("")[:-1]) + f' "copy {table} to stdout (format binary)" >/dev/null'],
        "psql COPY binary, two halves > /dev/null": ["sh", "-c", f"{halves[0]} & {halves[1]}; wait"],
    }
    large = compare(f"Postgres lineitem, scale {SCALE:g}, to Parquet zstd", rows, commands, ROUNDS)
    two, one = large["waybill, two streams, 256 MiB"], large["waybill, one stream, 128 MiB"]
    peer = large["duckdb, two threads"]
    print(f"two streams / duckdb with two threads: wall {two['wall'] / peer['wall']:.2f}, cpu {two['cpu'] / peer['cpu']:.2f}")
    print(f"two streams / two COPY halves: wall {two['wall'] / large['psql COPY binary, two halves > /dev/null']['wall']:.2f}")
    print(f"files: two streams / duckdb with two threads {two['size'] / peer['size']:.2f}")
    print(f"one stream / psql COPY binary: wall {one['wall'] / large['psql COPY binary > /dev/null']['wall']:.2f}")
    small = compare("one row: start of the process to the commit", 1, {
        "waybill": waybill(server, "public.one_row", 1, "128MiB"), "duckdb": duckdb(server, "public.one_row", 1)}, ROUNDS)
    system = whole_system(waybill(server, "public.one_row", 1, "128MiB"))
    grown = {}
    if LARGE:
        table = f"{server.seed(float(LARGE))}.lineitem"
        rows = int(server.ask(f"select count(*) from {table}"))
        grown = compare(f"Postgres lineitem, scale {LARGE}", rows, {
            "waybill, two streams, 256 MiB": waybill(server, table, 2, "256MiB"),
            "waybill, one stream, 128 MiB": waybill(server, table, 1, "128MiB")}, ROUNDS)
    # The limits are those of scale 1: what a start costs weighs more in a smaller table.
    if SCALE >= 1:
        print(f"\n## limits at scale {SCALE:g}")
        limits.hold("two streams: wall to duckdb's", two["wall"] / peer["wall"], 0.85)
        limits.hold("two streams: CPU to duckdb's", two["cpu"] / peer["cpu"], 0.8)
        limits.hold("two streams: files to duckdb's", two["size"] / peer["size"], 1.0)
        limits.hold("one stream: wall to psql COPY's", one["wall"] / large["psql COPY binary > /dev/null"]["wall"], 1.05)
        limits.hold("two streams: peak", two["peak"], 256, " MiB")
        limits.hold("one stream: peak", one["peak"], 128, " MiB")
        limits.hold("one row: start to commit", small["waybill"]["wall"], 0.15, " s")
        limits.hold("one row: trigger to succeeded", statistics.median(system), 1.0, " s")
        for name, value in grown.items():
            limits.hold(f"{name}, scale {LARGE}: peak to scale {SCALE:g}", value["peak"] / large[name]["peak"], 1.1)
    return {"large": large, "one_row": small, "system": system}


def main():
    if unknown := set(CASES) - set(ALL.split()):
        sys.exit(f"CASES: {', '.join(unknown)} is none of {ALL}")
    limits, results = Limits(), {"scale": SCALE, "rounds": ROUNDS}
    server = Server()
    try:
        schema = server.seed(SCALE)
        if "postgres" in CASES:
            results["postgres"] = postgres(server, schema, limits)
        if "wide" in CASES:
            results["wide"] = bench_wide.wide(server, schema, SCALE, limits)
        if "store" in CASES:
            results["store"] = bench_store.store(server, schema, SCALE, limits)
        if "text" in CASES:
            results["text"] = bench_text.text(server, schema, SCALE, limits)
        if "target" in CASES:
            results["target"] = bench_sources.target(server, schema, SCALE, limits)
        if {"csv", "mariadb"} & set(CASES):
            file = bench_sources.export(server, schema)
    finally:
        server.stop()
    if "csv" in CASES:
        results["csv"] = bench_sources.csv(file, SCALE, limits)
    if "mariadb" in CASES:
        results["mariadb"] = bench_sources.mariadb(file, SCALE, limits)
    with open(f"{HOME}/results.json", "w") as file:
        json.dump(results, file, indent=1)
    return 1 if limits.missed else 0


sys.exit(main())
