"""The parts of the demo that are easier in Python: the pipeline file, the kill, the comparison, what left.

    demo.py place URL                                prints the URL with the TLS that it will be used with, or refuses it
    demo.py fresh URL                                drops the tables of an earlier demo, or refuses to drop any other
    demo.py spec sqlite|postgres PLACE LAKE          prints the pipeline file
    demo.py kill STATE RUN                           kills the run's worker once it has written a part
    demo.py compare sqlite|postgres PLACE LAKE       counts and sums: the source against DuckDB and delta-rs
    demo.py left LAKE                                bytes that the workers sent, by class
"""
import glob
import ipaddress
import json
import os
import re
import signal
import subprocess
import sys
import time
from decimal import Decimal
from urllib.parse import parse_qsl, unquote, urlencode, urlparse

TABLES = {"orders": "o_totalprice", "lineitem": "l_extendedprice"}


# What waybill-seed writes on the tables that it makes.
MARK = "made by waybill-seed"


def is_near(host):
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def place(text):
    url = urlparse(text)
    asked = dict(parse_qsl(url.query))
    if url.scheme not in ("postgres", "postgresql") or not (url.hostname and url.username and url.path.strip("/")):
        sys.exit("WAYBILL_DEMO_SOURCE: write postgres://user:password@host:port/database")
    if set(asked) - {"sslmode", "sslrootcert"}:
        sys.exit("WAYBILL_DEMO_SOURCE: of a URL's options the demo takes sslmode and sslrootcert")
    near = is_near(url.hostname)
    mode = asked.get("sslmode", "disable" if near else "verify-full")
    if mode not in ("disable", "allow", "prefer"):
        # Workers ask for no less.
        mode = "verify-full"
    elif near:
        mode = "disable"
    else:
        sys.exit(f"WAYBILL_DEMO_SOURCE: sslmode={mode} would send rows and password to {url.hostname} in plaintext; "
                 "write sslmode=verify-full, and sslrootcert=/path/of/the/ca.pem where its CA is your own")
    print(url._replace(query=urlencode({**asked, "sslmode": mode})).geturl())


def fresh(place):
    names = ", ".join(f"'{table}'" for table in TABLES)
    sql = f"""do $$ declare foreign_ones text; begin
        select string_agg('public.' || relname, ' and ' order by relname) into foreign_ones from pg_class
        where relnamespace = 'public'::regnamespace and relname in ({names})
          and obj_description(oid, 'pg_class') is distinct from '{MARK}';
        if foreign_ones is not null then
            raise exception '% was not made by the demo, which drops nothing of yours', foreign_ones
                using hint = 'name a database of its own in WAYBILL_DEMO_SOURCE, or rename it';
        end if;
        drop table if exists {", ".join(f"public.{table}" for table in TABLES)};
        end $$"""
    quiet = {**os.environ, "PGOPTIONS": "-c client_min_messages=warning"}
    psql = ["psql", "-Xq", "--set", "ON_ERROR_STOP=1", "--dbname", place, "--command", sql]
    if subprocess.run(psql, env=quiet).returncode:
        sys.exit("the demo did not begin")


def keep(password, lake):
    """A file beside the lake that only its owner reads; workers get no variable that their data plane does not list."""
    path = os.path.join(os.path.dirname(lake), "password")
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(password)
    return path


def spec(kind, place, lake):
    if kind == "sqlite":
        source, schema = f"{{ type: sqlite, path: {json.dumps(place)} }}", ""
    else:
        url = urlparse(place)
        asked = dict(parse_qsl(url.query))
        source = f"{{ type: postgres, host: {url.hostname}, port: {url.port or 5432}, database: {url.path.lstrip('/')}, user: {unquote(url.username)}, tls: {asked['sslmode']}"
        if asked.get("sslrootcert", "system") != "system":
            source += f", ca: {json.dumps(asked['sslrootcert'])}"
        source += f", password: {json.dumps('file://' + keep(unquote(url.password), lake))} }}" if url.password else " }"
        schema = "public."
    print(f"""waybill: 1
connections:
  shop: {source}
  lake: {{ type: local, path: {json.dumps(lake)} }}
pipelines:
  demo:
    from: shop
    to: lake
    streams:
      {schema}lineitem: {{ load: full }}
      {schema}orders: {{ load: new, cursor: o_orderkey }}""")


def worker_of(shown):
    """The worker's process id, from the task reference of the live attempt: boot and namespace, process id, start time."""
    tasks = [attempt.get("task") for attempt in shown.get("attempt_list", []) if attempt["state"] in ("launching", "running")]
    for word in re.split(r"[ :,]+", tasks[-1] or "") if tasks else []:
        if word.isdigit() and os.path.exists(f"/proc/{word}/exe") and os.readlink(f"/proc/{word}/exe").endswith("/waybill-worker"):
            return int(word)
    return None


def progress(run):
    shown = subprocess.run(["waybill", "run", "show", run, "-o", "json"], capture_output=True, text=True, check=True)
    return json.loads(shown.stdout)


def kill(state, run):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        shown = progress(run)
        if any(stream.get("rows") for stream in shown.get("streams", [])):
            pid = worker_of(shown)
            if pid:
                os.kill(pid, signal.SIGKILL)
                print(f"killed worker process {pid} with SIGKILL")
                return
        time.sleep(0.05)
    sys.exit("the worker ended before it could be killed")


def lake_tables(lake):
    found = {}
    for log in glob.glob(f"{lake}/*/_delta_log"):
        table = os.path.dirname(log)
        found[os.path.basename(table).split(".")[-1]] = table
    return found


def source_answers(kind, place):
    answers = {}
    for table, money in TABLES.items():
        if kind == "sqlite":
            import sqlite3
            row = sqlite3.connect(place).execute(f"select count(*), sum(cast(round({money} * 100) as integer)) from {table}").fetchone()
            answers[table] = (row[0], Decimal(row[1]).scaleb(-2))
        else:
            sql = f"select count(*) || ' ' || sum({money}) from public.{table}"
            out = subprocess.run(["psql", "-XqAt", place, "-c", sql], capture_output=True, text=True, check=True).stdout.split()
            answers[table] = (int(out[0]), Decimal(out[1]))
    return answers


def compare(kind, place, lake):
    import duckdb
    import duckdb_extension_delta as packaged
    import pyarrow.compute
    from deltalake import DeltaTable

    database = duckdb.connect()
    database.execute("set enable_progress_bar = false")
    folder = f"{os.path.dirname(packaged.__file__)}/extensions/v{duckdb.__version__}"
    database.execute(f"load '{glob.glob(f'{folder}/*.duckdb_extension')[0]}'")
    source, tables, wrong = source_answers(kind, place), lake_tables(lake), 0
    print(f"{'table':10s} {'who':10s} {'rows':>10s} {'sum':>22s}")
    for table, money in TABLES.items():
        by_duckdb = database.execute(f"select count(*), sum({money}) from delta_scan('{tables[table]}')").fetchone()
        arrow = DeltaTable(tables[table]).to_pyarrow_table(columns=[money])
        by_delta = (arrow.num_rows, pyarrow.compute.sum(arrow.column(money)).as_py())
        for who, (rows, total) in {"source": source[table], "duckdb": by_duckdb, "delta-rs": by_delta}.items():
            same = (rows, Decimal(total)) == source[table]
            wrong += not same
            print(f"{table:10s} {who:10s} {rows:10,d} {Decimal(total):22,.2f} {'' if same else '  DIFFERS'}")
    if wrong:
        sys.exit("the readers do not agree with the source")
    database.close()
    # A reader's own threads may outlive the interpreter's end, and C++ aborts the process then. All is said by now.
    sys.stdout.flush()
    os._exit(0)


def left(lake):
    classes, messages = {}, 0
    for chunk in glob.glob(f"{lake}/_waybill/logs/**/*.ndjson", recursive=True):
        for line in open(chunk):
            entry = json.loads(line)
            said = entry.get("fields", entry)
            for part in str(said.get("classes", "")).split(", "):
                if " " in part:
                    name, size = part.split(" ")
                    classes[name] = classes.get(name, 0) + int(size)
            messages += int(said.get("messages", 0) or 0)
    if not messages:
        sys.exit("the workers' logs do not say what left")
    total, kept = sum(classes.values()), sum(os.path.getsize(f) for f in glob.glob(f"{lake}/*/data/**/*.parquet", recursive=True))
    print(f"{messages} messages with {total:,} bytes of fields; {kept:,} bytes of data files stayed")
    for name, size in sorted(classes.items(), key=lambda item: -item[1]):
        print(f"  {name:8s} {size:8,d} bytes")
    print("  text         0 bytes: there is no such class")


if __name__ == "__main__":
    {"place": place, "fresh": fresh, "spec": spec, "kill": kill, "compare": compare, "left": left}[sys.argv[1]](*sys.argv[2:])
