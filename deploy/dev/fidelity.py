"""Which values arrive: Waybill and other tools read the same tables, and one reader (DuckDB) reads what each of them wrote as Parquet.

A value is right where it can be told from the output under default settings: exactly, or from a text that stands for it and nothing else.
Each tool reads each value in a process of its own, since some of them end the whole process. Prints the table of docs/fidelity.md;
with --check it ends with 1 where that table says something else.
"""
import decimal
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import servers
from peers import extension

PAGE = "docs/fidelity.md"
# Server, what it is, the column's type, the value as a literal, and every text that tells it: numbers by their value.
VECTORS = [
    ("pg", "numeric(10,2) NaN", "numeric(10,2)", "'NaN'", ["NaN"]),
    ("pg", "numeric −Infinity", "numeric", "'-Infinity'", ["-Infinity", "-inf"]),
    ("pg", "numeric, 15 decimal places", "numeric", "1.123456789012345", ["1.123456789012345"]),
    ("pg", "numeric, 30 digits", "numeric", "12345678901234567890123456789.5", ["12345678901234567890123456789.5"]),
    ("pg", "numeric(38,0), 38 digits", "numeric(38,0)", "9" * 38, ["9" * 38]),
    ("pg", "timestamp 'infinity'", "timestamp", "'infinity'", ["infinity"]),
    ("pg", "date '-infinity'", "date", "'-infinity'", ["-infinity"]),
    ("pg", "timestamptz, microseconds", "timestamptz", "'2024-02-29 12:00:00.123456+02'", ["2024-02-29 10:00:00.123456+00", "2024-02-29 10:00:00.123456"]),
    ("pg", "time '24:00:00'", "time", "'24:00:00'", ["24:00:00"]),
    ("pg", "timetz", "timetz", "'12:34:56+02'", ["12:34:56+02", "12:34:56+02:00", "12:34:56+0200"]),
    ("pg", "interval", "interval", "'1 mon 2 days 03:04:05.6'", ["P1M2DT3H4M5.6S", "1 month 2 days 03:04:05.6", "1 mon 2 days 03:04:05.6"]),
    ("pg", "int[] {{1,2},{3,4}}", "int[]", "'{{1,2},{3,4}}'", ["{{1,2},{3,4}}", "[[1, 2], [3, 4]]"]),
    ("pg", "text[] with NULL and 'NULL'", "text[]", "ARRAY[NULL, 'NULL', 'a,b']", ["[NULL, 'NULL', 'a,b']"]),
    ("pg", "money", "money", "'1234.56'", ["1234.56", "$1,234.56"]),
    ("pg", "xml", "xml", "'<a>ä</a>'", ["<a>ä</a>", "<a>\\xC3\\xA4</a>"]),
    ("pg", "oid 4294967295", "oid", "4294967295", ["4294967295"]),
    ("pg", "bit(5)", "bit(5)", "B'00101'", ["00101"]),
    ("pg", "jsonb, a number of 29 digits", "jsonb", "'{\"n\": 12345678901234567890.123456789}'", ['{"n": 12345678901234567890.123456789}']),
    ("pg", "inet with its mask", "inet", "'10.1.2.3/8'", ["10.1.2.3/8"]),
    ("pg", "int4range", "int4range", "'[1,5)'", ["[1,5)"]),
    ("pg", "float8 −0 and NaN", "float8[]", "'{-0,NaN}'", ["[-0.0, nan]", "[-0.0, NaN]"]),
    ("maria", "date '0000-00-00'", "date", "'0000-00-00'", ["0000-00-00"]),
    ("maria", "date '2022-11-00'", "date", "'2022-11-00'", ["2022-11-00"]),
    ("maria", "time '-838:59:59'", "time", "'-838:59:59'", ["-838:59:59"]),
    ("maria", "decimal(40,10)", "decimal(40,10)", "123456789012345678901234567890.0123456789", ["123456789012345678901234567890.0123456789"]),
    ("maria", "bigint unsigned, the largest", "bigint unsigned", "18446744073709551615", ["18446744073709551615"]),
    ("maria", "tinyint(1) 2", "tinyint(1)", "2", ["2"]),
    ("maria", "bit(64), all ones", "bit(64)", "b'" + "1" * 64 + "'", ["18446744073709551615", "1" * 64, "\\xFF" * 8]),
    ("maria", "float 16777215, its last exact odd number", "float", "16777215", ["16777215"]),
    ("maria", "text in latin1", "varchar(9) character set latin1", "'Zoë'", ["Zoë"]),
]

READ = """import duckdb, glob, json, sys
d = duckdb.connect()
files = glob.glob(sys.argv[1] + '/**/*.parquet', recursive=True)
columns = {r[0]: r[1] for r in d.execute("describe select * from read_parquet(?)", [files]).fetchall()}
row = d.execute('select ' + ', '.join('cast("' + c + '" as varchar)' for c in columns) + ' from read_parquet(?)', [files]).fetchall()
print(json.dumps({"rows": len(row), "types": columns, "values": dict(zip(columns, row[0])) if row else {}}))"""


def duckdb(server, kind, table, out):
    scanner, source = {
        "pg": ("postgres_scanner", f"'dbname=postgres host=127.0.0.1 port={server.port} user=bench' as src (type postgres, read_only)"),
        "maria": ("mysql_scanner", f"'host=127.0.0.1 port={server.port} user=bench database=shop' as src (type mysql, read_only)"),
    }[kind]
    code = f"""import duckdb
d = duckdb.connect()
d.execute("load '{extension(scanner)}'")
d.execute(\"\"\"attach {source}\"\"\")
d.execute("copy (select v from src.{table}) to '{out}/x.parquet' (format parquet)")"""
    return [sys.executable, "-c", code]


def connectorx(server, kind, table, out):
    url = {"pg": f"postgresql://bench@127.0.0.1:{server.port}/postgres", "maria": f"mysql://bench@127.0.0.1:{server.port}/shop"}[kind]
    code = f"import connectorx as cx, pyarrow.parquet as pq; pq.write_table(cx.read_sql('{url}', 'select v from {table}', return_type='arrow'), '{out}/x.parquet')"
    return [sys.executable, "-c", code]


def adbc(server, kind, table, out):
    if kind != "pg":
        return None
    code = f"""import adbc_driver_postgresql.dbapi as a, pyarrow.parquet as pq
c = a.connect('postgresql://bench@127.0.0.1:{server.port}/postgres').cursor()
c.execute('select v from {table}')
pq.write_table(c.fetch_arrow_table(), '{out}/x.parquet')"""
    return [sys.executable, "-c", code]


def waybill(server, kind, table, out):
    database = {"pg": "type: postgres, database: postgres", "maria": "type: mysql, database: shop"}[kind]
    with open(f"{out}/spec.yaml", "w") as file:
        file.write(f"""waybill: 1
connections:
  db: {{ {database}, host: 127.0.0.1, port: {server.port}, user: bench, tls: disable }}
  lake: {{ type: local, path: "{out}" }}
pipelines:
  p: {{ from: db, to: lake, streams: {{ {table.split('.')[-1] if kind == "maria" else table}: {{}} }} }}
""")
    return ["waybill-worker", "once", "--spec", f"{out}/spec.yaml"]


TOOLS = {"Waybill": waybill, "DuckDB": duckdb, "connectorx": connectorx, "ADBC PostgreSQL": adbc}


def number(text):
    try:
        return decimal.Decimal(text)
    except decimal.InvalidOperation:
        return None


def is_same(text, wanted):
    if text.casefold() in [value.casefold() for value in wanted]:
        return True
    value = number(text)
    return value is not None and value.is_finite() and any(number(each) is not None and number(each) == value for each in wanted)


def outcome(command, out, wanted):
    if command is None:
        return "–"
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    if done.returncode < 0 or "panicked" in done.stderr:
        return "crash"
    if done.returncode:
        return "error"
    read = subprocess.run([sys.executable, "-c", READ, out], capture_output=True, text=True)
    if read.returncode:
        return "unreadable"
    found = json.loads(read.stdout)
    if found["rows"] != 1:
        return f"**{found['rows']} rows**"
    values = found["values"]
    if "v__text" in values and values["v"] is None and values["v__text"] is not None:
        return "exact, in its twin" if is_same(values["v__text"], wanted) else f"**{values['v__text']}**"
    value = values["v"]
    if value is None:
        return "**NULL**"
    if is_same(value, wanted):
        return "exact"
    return "raw bytes" if found["types"]["v"] == "BLOB" else f"**{value}**"


def table(rows):
    lines = ["| value | " + " | ".join(TOOLS) + " |", "|---" * (len(TOOLS) + 1) + "|"]
    for kind, title in (("pg", "PostgreSQL"), ("maria", "MariaDB")):
        lines.append(f"| **{title}** |" + " |" * len(TOOLS))
        lines += [f"| {name} | " + " | ".join(cells) + " |" for of, name, cells in rows if of == kind]
    return "\n".join(lines) + "\n"


def main():
    home = tempfile.mkdtemp(prefix="waybill-fidelity-")
    running = {}
    try:
        running = {"pg": servers.Postgres(home), "maria": servers.MariaDb(home)}
        rows = []
        for at, (kind, name, column, literal, wanted) in enumerate(VECTORS):
            server, own = running[kind], f"v{at}"
            if kind == "pg":
                server.ask(f"create table {own} (v {column}); insert into {own} values ({literal}::{column})")
            else:
                server.ask(f"set sql_mode = 'ALLOW_INVALID_DATES'; use shop; create table {own} (v {column}); insert into {own} values ({literal})")
            source = {"pg": f"public.{own}", "maria": f"shop.{own}"}[kind]
            cells = []
            for tool in TOOLS.values():
                out = tempfile.mkdtemp(dir=home)
                cells.append(outcome(tool(server, kind, source, out), out, wanted).replace("|", "\\|"))
            rows.append((kind, name, cells))
            print(f"{name}: {', '.join(cells)}", file=sys.stderr)
    finally:
        for server in running.values():
            server.stop()
        shutil.rmtree(home, ignore_errors=True)
    made = table(rows)
    print(made)
    wrong = [name for _, name, cells in rows if not cells[0].startswith("exact")]
    if wrong:
        sys.exit(f"Waybill itself does not deliver: {', '.join(wrong)}")
    if "--check" in sys.argv:
        with open(PAGE) as file:
            said = re.search(r"<!-- fidelity -->\n(.*?)<!-- end -->", file.read(), re.S).group(1).strip()
        if said != made.strip():
            sys.exit(f"{PAGE} says something else: put the table above there")


main()
