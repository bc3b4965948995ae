"""A wide table of texts, JSON, UUIDs, bytes, times and numerics out of PostgreSQL into Parquet: what `lineitem` has next to nothing of."""
import sys

import measure
from measure import OUT, ROUNDS, compare
from peers import extension

# Rows at scale 1: about as many bytes as `lineitem` has there.
ROWS = 600_000
# Each column with what it holds in row g. Nothing is drawn by chance, so that every run has the same rows.
COLUMNS = {
    "id": ("bigint", "g"),
    "key": ("uuid", "md5(g::text)::uuid"),
    "owner": ("uuid", "md5((g % 5000)::text)::uuid"),
    "name": ("text", "'customer ' || g % 90000"),
    "city": ("text", "(array['Zürich', 'São Paulo', '東京', 'Reykjavík', 'Nairobi'])[g % 5 + 1]"),
    "note": ("text", "repeat(md5((g * 7)::text) || ' ', 1 + (g % 6)::int)"),
    "remark": ("text", "case when g % 3 = 0 then null else 'line ' || g || E'\\n\"quoted\", ' || md5((g * 11)::text) end"),
    "doc": ("jsonb", "jsonb_build_object('id', g, 'tags', jsonb_build_array('a', g % 10), 'total', g / 100.0, 'who', md5((g * 13)::text))"),
    "event": ("json", "json_build_object('kind', 'click', 'x', g % 1920, 'y', g % 1080)"),
    "digest": ("bytea", "decode(md5((g * 17)::text) || md5((g * 19)::text), 'hex')"),
    "thumb": ("bytea", "case when g % 4 = 0 then null else decode(repeat(md5((g * 23)::text), 4), 'hex') end"),
    "made_at": ("timestamptz", "timestamptz '2020-01-01' + g * interval '7 seconds 13 microseconds'"),
    "seen_at": ("timestamptz", "case when g % 5 = 0 then null else timestamptz '2021-01-01' + g % 1000000 * interval '1 minute' end"),
    "local_at": ("timestamp", "timestamp '1999-12-31 23:59:59' + g * interval '1 hour 1 microsecond'"),
    "due": ("date", "date '2000-01-01' + (g % 9000)::int"),
    "price": ("numeric(18,4)", "g * 1.2345"),
    "rate": ("numeric(12,8)", "(g % 10000) / 12345.678"),
    "balance": ("numeric(38,10)", "g * 123456789012.3456789"),
    "ratio": ("double precision", "g / 7.0"),
    "level": ("integer", "g % 100000"),
    "active": ("boolean", "g % 2 = 0"),
}


def seed(server, schema, rows):
    if server.ask(f"select to_regclass('{schema}.wide') is not null") == "t":
        return
    columns = ", ".join(f"{name} {kind}" for name, (kind, _) in COLUMNS.items())
    values = ", ".join(f"({value})::{kind}" for kind, value in COLUMNS.values())
    server.ask(f"create table {schema}.filling ({columns}, primary key (id))")
    server.ask(f"insert into {schema}.filling select {values} from generate_series(1::bigint, {rows}) g")
    server.ask(f"alter table {schema}.filling rename to wide")
    server.ask(f"vacuum (freeze, analyze) {schema}.wide")
    server.ask("checkpoint")


def wide(server, schema, scale, limits):
    rows, table = int(ROWS * scale), f"{schema}.wide"
    seed(server, schema, rows)
    connection = f"{{ type: postgres, host: 127.0.0.1, port: {server.port}, database: postgres, user: bench, tls: disable }}"
    pipeline = f"    limits: {{ parallel: 2 }}\n    streams:\n      {table}: {{ load: full }}\n"
    duckdb = f"""import duckdb
d = duckdb.connect(config={{'threads': 2}})
d.execute("load '{extension('postgres_scanner')}'")
d.execute("attach 'dbname=postgres host=127.0.0.1 port={server.port} user=bench' as src (type postgres, read_only)")
d.execute("copy (select * from src.{table}) to '{OUT}/x.parquet' (format parquet, compression zstd)")"""
    copy = " ".join(f"'{word}'" for word in server.psql(f"copy {table} to stdout (format binary)"))
    found = compare(f"PostgreSQL, a wide table of {len(COLUMNS)} columns, to Parquet zstd", rows, {
        "waybill, two streams, 256 MiB": measure.waybill("wide", connection, pipeline, "256MiB"),
        "duckdb, two threads": [sys.executable, "-c", duckdb],
        "psql COPY binary > /dev/null": ["sh", "-c", f"{copy} > /dev/null"],
    }, ROUNDS)
    ours, peer = found["waybill, two streams, 256 MiB"], found["duckdb, two threads"]
    print(f"two streams / duckdb with two threads: wall {ours['wall'] / peer['wall']:.2f}, cpu {ours['cpu'] / peer['cpu']:.2f}, files {ours['size'] / peer['size']:.2f}")
    if scale >= 1:
        limits.hold("wide table: peak", ours["peak"], 256, " MiB")
    return found
