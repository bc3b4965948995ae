"""The benchmark's `lineitem` out of a CSV file and out of MariaDB into Parquet, and from one database of PostgreSQL into another."""
import os
import subprocess
import sys

import measure
import servers
from measure import HOME, OUT, ROUNDS, compare
from peers import extension

# The columns of `lineitem`: the type that a CSV column is given, and MariaDB's.
COLUMNS = {
    "l_orderkey": ("bigint", "bigint"), "l_partkey": ("bigint", "bigint"), "l_suppkey": ("bigint", "bigint"), "l_linenumber": ("bigint", "int"),
    "l_quantity": ("decimal(15,2)",) * 2, "l_extendedprice": ("decimal(15,2)",) * 2, "l_discount": ("decimal(15,2)",) * 2, "l_tax": ("decimal(15,2)",) * 2,
    "l_returnflag": ("text", "char(1)"), "l_linestatus": ("text", "char(1)"),
    "l_shipdate": ("date", "date"), "l_commitdate": ("date", "date"), "l_receiptdate": ("date", "date"),
    "l_shipinstruct": ("text", "char(25)"), "l_shipmode": ("text", "char(10)"), "l_comment": ("text", "varchar(44)"),
}


def export(server, schema):
    """The table as a CSV file with a header, in a directory of its own; and its rows."""
    folder = f"{HOME}/{schema}"
    path = f"{folder}/lineitem.csv"
    if not os.path.exists(path):
        os.makedirs(folder, exist_ok=True)
        with open(f"{path}.part", "wb") as file:
            subprocess.run(server.psql(f"copy {schema}.lineitem ({', '.join(COLUMNS)}) to stdout (format csv, header)"), check=True, stdout=file)
        os.rename(f"{path}.part", path)
    return path, int(server.ask(f"select count(*) from {schema}.lineitem"))


def python(code):
    return [sys.executable, "-c", code]


def csv(exported, scale, limits):
    path, rows = exported
    types = ", ".join(f"{name}: '{kind}'" for name, (kind, _) in COLUMNS.items() if kind != "text")
    connection = f'{{ type: files, url: "file://{os.path.dirname(path)}" }}'
    pipeline = f"    streams:\n      lineitem.csv: {{ format: {{ type: csv, types: {{ {types} }} }} }}\n"
    given = "{" + ", ".join(f"'{name}': '{'varchar' if kind == 'text' else kind}'" for name, (kind, _) in COLUMNS.items()) + "}"
    duckdb = f"""import duckdb
d = duckdb.connect(config={{'threads': 2}})
d.execute(\"\"\"copy (select * from read_csv('{path}', types = {given})) to '{OUT}/x.parquet' (format parquet, compression zstd)\"\"\")"""
    polars = f"import polars as pl; pl.scan_csv('{path}', try_parse_dates=True).sink_parquet('{OUT}/x.parquet', compression='zstd')"
    found = compare(f"CSV lineitem, scale {scale:g}, to Parquet zstd", rows, {
        "waybill, 256 MiB": measure.waybill("csv", connection, pipeline, "256MiB"),
        "duckdb, two threads": python(duckdb),
        "polars": python(polars),
    }, ROUNDS)
    best = min(value["wall"] for name, value in found.items() if not name.startswith("waybill"))
    if scale >= 1:
        limits.hold("CSV: wall to the best peer's", found["waybill, 256 MiB"]["wall"] / best, 0.95)
        limits.hold("CSV: peak", found["waybill, 256 MiB"]["peak"], 256, " MiB")
    return found


def mariadb(exported, scale, limits):
    path, rows = exported
    table = f"lineitem_{scale:g}".replace(".", "_")
    server = servers.MariaDb(HOME, **{"innodb-buffer-pool-size": "2G", "local-infile": "1", "skip-log-bin": None})
    try:
        if server.ask(f"select count(*) from information_schema.tables where table_schema = 'shop' and table_name = '{table}'") == "0":
            columns = ", ".join(f"{name} {kind} not null" for name, (_, kind) in COLUMNS.items())
            server.ask(f"create table shop.loading ({columns}, primary key (l_orderkey, l_linenumber))")
            load = f"""load data local infile '{path}' into table shop.loading character set utf8mb4
                fields terminated by ',' optionally enclosed by '"' escaped by '' ignore 1 lines"""
            subprocess.run([*server.client("root", load), "--local-infile=1"], check=True)
            server.ask(f"rename table shop.loading to shop.{table}; analyze table shop.{table}")
        connection = f"{{ type: mysql, host: 127.0.0.1, port: {server.port}, database: shop, user: bench, tls: disable }}"
        pipeline = f"    limits: {{ parallel: 2 }}\n    streams:\n      {table}: {{}}\n"
        duckdb = f"""import duckdb
d = duckdb.connect(config={{'threads': 2}})
d.execute("load '{extension('mysql_scanner')}'")
d.execute("attach 'host=127.0.0.1 port={server.port} user=bench database=shop' as src (type mysql, read_only)")
d.execute("copy (select * from src.{table}) to '{OUT}/x.parquet' (format parquet, compression zstd)")"""
        connectorx = f"""import connectorx as cx, pyarrow.parquet as pq
read = cx.read_sql('mysql://bench@127.0.0.1:{server.port}/shop', 'select * from {table}', return_type='arrow')
pq.write_table(read, '{OUT}/x.parquet', compression='zstd')"""
        found = compare(f"MariaDB lineitem, scale {scale:g}, to Parquet zstd", rows, {
            "waybill, two streams, 256 MiB": measure.waybill("mariadb", connection, pipeline, "256MiB"),
            "duckdb, two threads": python(duckdb),
            "connectorx": python(connectorx),
        }, ROUNDS)
    finally:
        server.stop()
    best = min(value["wall"] for name, value in found.items() if not name.startswith("waybill"))
    if scale >= 1:
        limits.hold("MariaDB: wall to the best peer's", found["waybill, two streams, 256 MiB"]["wall"] / best, 0.75)
        limits.hold("MariaDB: peak", found["waybill, two streams, 256 MiB"]["peak"], 256, " MiB")
    return found


def target(server, schema, scale, limits):
    """Both make the table in the transaction that fills it. Source, destination and mover share the cores."""
    table, rows = f"{schema}.lineitem", int(server.ask(f"select count(*) from {schema}.lineitem"))
    if server.ask("select count(*) from pg_database where datname = 'copy'") == "0":
        server.ask("create database copy")

    def psql(sql):
        return [word if word != "postgres" else "copy" for word in server.psql(sql)]

    def ask(sql):
        return subprocess.run(psql(sql), check=True, capture_output=True, text=True).stdout.strip()

    columns = server.ask("select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum) from pg_attribute "
                         f"where attrelid = '{table}'::regclass and attnum > 0")
    out = " ".join(f"'{word}'" for word in server.psql(f"copy {table} to stdout (format binary)"))
    steps = [*psql("")[:-2], "-1", "-c", f"create table lineitem ({columns})", "-c", "copy lineitem from stdin (format binary)"]
    into = " ".join(f"'{word}'" for word in steps)
    end = f"type: postgres, host: 127.0.0.1, port: {server.port}, user: bench, tls: disable"
    path = f"{HOME}/target.waybill.yaml"
    with open(path, "w") as file:
        file.write(f"""waybill: 1
connections:
  shop: {{ {end}, database: postgres }}
  copy: {{ {end}, database: copy }}
pipelines:
  bench:
    from: shop
    to: copy
    limits: {{ parallel: 2 }}
    streams:
      {table}: {{ load: full, table: public.lineitem }}
""")
    found = compare(f"PostgreSQL lineitem, scale {scale:g}, to PostgreSQL", rows, {
        "waybill, 256 MiB": ["waybill-worker", "once", "--json", "--memory", "256MiB", "--spec", path],
        "psql COPY binary | psql COPY": ["sh", "-c", f"{out} | {into}"],
    }, ROUNDS, written=lambda: int(ask("select count(*) from lineitem")), before=lambda: ask("drop table if exists lineitem, _waybill_commit"))
    ask("drop table if exists lineitem, _waybill_commit")
    if scale >= 1:
        limits.hold("PostgreSQL to PostgreSQL: wall to psql COPY | psql COPY", found["waybill, 256 MiB"]["wall"] / found["psql COPY binary | psql COPY"]["wall"], 1.15)
        limits.hold("PostgreSQL to PostgreSQL: peak", found["waybill, 256 MiB"]["peak"], 256, " MiB")
    return found
