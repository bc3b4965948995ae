"""The benchmark's `lineitem` out of PostgreSQL into CSV, plain and with gzip."""
import glob
import gzip
import sys

import measure
from measure import OUT, ROUNDS, compare
from peers import extension

# What gzip itself and its libraries take where nobody names a level; Waybill takes it too.
LEVEL = 6


def rows_written():
    """Records of all files without their headers: no value of `lineitem` holds a line end."""
    rows = 0
    for path in glob.glob(f"{OUT}/**/*.csv*", recursive=True):
        with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
            rows += sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b"")) - 1
    return rows


def waybill(server, table, compression):
    connection = f"{{ type: postgres, host: 127.0.0.1, port: {server.port}, database: postgres, user: bench, tls: disable }}"
    pipeline = f"    limits: {{ parallel: 2 }}\n    files: {{ format: csv, compression: {compression} }}\n    streams:\n      {table}: {{ load: full }}\n"
    return measure.waybill(f"csv-{compression}", connection, pipeline, "256MiB")


def duckdb(server, table, options):
    code = f"""import duckdb
d = duckdb.connect(config={{'threads': 2}})
d.execute("load '{extension('postgres_scanner')}'")
d.execute("attach 'dbname=postgres host=127.0.0.1 port={server.port} user=bench' as src (type postgres, read_only)")
d.execute("copy (select * from src.{table}) to '{OUT}/x.csv{'.gz' if options else ''}' (format csv, header{options})")"""
    return [sys.executable, "-c", code]


def text(server, schema, scale, limits):
    """Plain at the whole scale, gzip at a tenth of it: compressing is nearly all that it costs."""
    def psql(table, to):
        words = " ".join(f"'{word}'" for word in server.psql(f"copy {table} to stdout (format csv, header)"))
        return ["sh", "-c", f"{words} {to}"]

    def rows(table):
        return int(server.ask(f"select count(*) from {table}"))

    table = f"{schema}.lineitem"
    plain = compare(f"PostgreSQL lineitem, scale {scale:g}, to CSV", rows(table), {
        "waybill, two streams, 256 MiB": waybill(server, table, "none"),
        "duckdb, two threads": duckdb(server, table, ""),
        "psql COPY csv": psql(table, f"> '{OUT}/x.csv'"),
    }, ROUNDS, written=rows_written)
    small = f"{server.seed(scale / 10)}.lineitem"
    packed = compare(f"PostgreSQL lineitem, scale {scale / 10:g}, to CSV with gzip", rows(small), {
        "waybill, two streams, 256 MiB": waybill(server, small, "gzip"),
        "duckdb, two threads": duckdb(server, small, ", compression gzip"),
        f"psql COPY csv | gzip -{LEVEL}": psql(small, f"| gzip -{LEVEL} > '{OUT}/x.csv.gz'"),
    }, ROUNDS, written=rows_written)
    if scale >= 1:
        ours = plain["waybill, two streams, 256 MiB"]
        limits.hold("to CSV: wall to psql COPY csv", ours["wall"] / plain["psql COPY csv"]["wall"], 1.05)
        limits.hold("to CSV: peak", ours["peak"], 256, " MiB")
        limits.hold("to CSV with gzip: wall to the best peer's", packed["waybill, two streams, 256 MiB"]["wall"] / packed["duckdb, two threads"]["wall"], 0.5)
    return {"plain": plain, "gzip": packed}
