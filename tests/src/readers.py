"""Reads or changes Delta tables with DuckDB and delta-rs. A JSON question on each line of standard input, its answer on a line of standard output."""

import csv
import datetime
import decimal
import glob
import gzip
import hashlib
import io
import json
import math
import os
import re
import sys
import time
import uuid

import duckdb
import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder, write_deltalake

question = path = None


EPOCH = datetime.datetime(1970, 1, 1)


def moment(number, unit, zone):
    """Python's calendar has the years 1 to 9999 only: what lies outside shows as its number."""
    if number is None:
        return None
    try:
        at = EPOCH + datetime.timedelta(**{"days" if unit == "days" else "microseconds": number})
    except OverflowError:
        return f"{number} {unit}"
    return at.date().isoformat() if unit == "days" else at.isoformat() + ("Z" if zone else "")


def listed(values, show):
    return [None if value is None else [show(inner) for inner in value] for value in values]


def column(values):
    """The values of a column; times through their numbers, wherever they stand."""
    kind = values.type
    inner = kind.value_type if pa.types.is_list(kind) else kind
    if pa.types.is_date32(inner):
        number, show = pa.int32(), lambda value: moment(value, "days", None)
    elif pa.types.is_timestamp(inner):
        values = values.cast(pa.list_(pa.timestamp("us", inner.tz)) if inner is not kind else pa.timestamp("us", inner.tz))
        number, show = pa.int64(), lambda value: moment(value, "us", inner.tz)
    else:
        return values.to_pylist()
    if inner is kind:
        return [show(value) for value in values.cast(number).to_pylist()]
    return listed(values.cast(pa.list_(number)).to_pylist(), show)


def rows(table):
    table = table.combine_chunks()
    columns = [column(values) for values in table.columns]
    return [list(row) for row in zip(*columns)] if columns else []


def plain(value):
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, datetime.datetime) and value.tzinfo:
        return value.astimezone(datetime.timezone.utc).replace(tzinfo=None).isoformat() + "Z"
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    return value


def with_duckdb(sql):
    # Through Arrow, so that no further package is needed for times with a zone.
    return rows(duckdb_with_table().execute(sql).to_arrow_table())


def with_delta():
    import duckdb_extension_delta as extension

    base = os.path.join(os.path.dirname(extension.__file__), "extensions", "v" + duckdb.__version__)
    settings = {"allow_unsigned_extensions": "true", "autoinstall_known_extensions": "false"}
    connection = duckdb.connect(config=settings)
    connection.execute(f"LOAD '{base}/delta.duckdb_extension'")
    connection.execute("SET TimeZone='UTC'")
    # It would be drawn on standard output, where the answer stands.
    connection.execute("SET enable_progress_bar=false")
    return connection


def duckdb_with_table():
    connection = with_delta()
    connection.execute(f"CREATE VIEW t AS SELECT * FROM delta_scan('{path}')")
    return connection


def parsed(dialect, statement):
    """What a parser of the dialect takes each statement for; what it only passes through is no parse."""
    import logging

    import sqlglot

    logging.disable()
    found = sqlglot.parse(statement, dialect=dialect, error_level=sqlglot.ErrorLevel.RAISE)
    return [type(one).__name__ + " " + str(one.args.get("kind")) for one in found if one]


def pruned(column, value):
    """Files that are looked at, of all, by each reader."""
    table = DeltaTable(path)
    wanted = table.file_uris([(column, "=", value)])
    plan = duckdb_with_table().execute(f"EXPLAIN ANALYZE SELECT * FROM t WHERE {column} = '{value}'").fetchall()
    looked = re.search(r"Scanning Files:\s*(\d+)/(\d+)", plan[0][1])
    return {
        "delta_rs": [len(wanted), len(table.file_uris())],
        "duckdb": [int(looked[1]), int(looked[2])] if looked else plan[0][1],
    }


def with_delta_rs(sql):
    table = DeltaTable(path, storage_options=question.get("store"))
    return rows(pa.table(QueryBuilder().register("t", table).execute(sql).read_all()))


def one(id):
    return pa.table({"id": pa.array([id], pa.int64())})


def write_every_parquet_type():
    """A file of every Parquet type that a source may meet, written by pyarrow: one row of values, one of NULLs."""
    import pyarrow.parquet as pq

    noon = datetime.datetime(2024, 2, 29, 12, 0, 0, 123000)
    day = 24 * 3600 * 1000
    values = {
        "id": (pa.int64(), 1),
        "yes": (pa.bool_(), True),
        "i8": (pa.int8(), -128),
        "i16": (pa.int16(), -32768),
        "i32": (pa.int32(), -(2**31)),
        "i64": (pa.int64(), -(2**63)),
        "u8": (pa.uint8(), 2**8 - 1),
        "u16": (pa.uint16(), 2**16 - 1),
        "u32": (pa.uint32(), 2**32 - 1),
        "u64": (pa.uint64(), 2**64 - 1),
        "f16": (pa.float16(), 1.5),
        "f32": (pa.float32(), 0.5),
        "f64": (pa.float64(), float("nan")),
        "d9": (pa.decimal128(9, 2), decimal.Decimal("-1234567.89")),
        "d18": (pa.decimal128(18, 4), decimal.Decimal("12345678901234.5678")),
        "d38": (pa.decimal128(38, 10), decimal.Decimal("1234567890123456789012345678.0123456789")),
        "d76": (pa.decimal256(76, 2), decimal.Decimal("9" * 74 + ".99")),
        "text": (pa.string(), "ünï 🦀"),
        "large": (pa.large_string(), "x" * 3),
        "word": (pa.dictionary(pa.int32(), pa.string()), "again"),
        "doc": (pa.json_(), '{"n": 1.10}'),
        "bin": (pa.binary(), b"\x00\xff"),
        "three": (pa.binary(3), b"\x01\x02\x03"),
        "uuid": (pa.uuid(), uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11").bytes),
        "day": (pa.date32(), datetime.date(1969, 12, 31)),
        "t_ms": (pa.time32("ms"), day - 1),
        "t_us": (pa.time64("us"), day * 1000 - 1),
        "t_ns": (pa.time64("ns"), day * 1000000 - 1),
        "ts_ms": (pa.timestamp("ms"), noon),
        "ts_us": (pa.timestamp("us"), noon),
        "ts_ns": (pa.timestamp("ns"), 1709208000123000000),
        "fine": (pa.timestamp("ns"), 1709208000123456789),
        "tz_ms": (pa.timestamp("ms", "Europe/Paris"), 1709208000123),
        "tz_us": (pa.timestamp("us", "UTC"), 1709208000123456),
        "tz_fine": (pa.timestamp("ns", "UTC"), 1709208000123456789),
        "list": (pa.list_(pa.int32()), [1, None, 3]),
        "pair": (pa.struct([("a", pa.int64()), ("b", pa.string())]), {"a": 1, "b": None}),
        "none": (pa.null(), None),
    }

    def array(kind, value):
        inner = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
        made = pa.array([value, None], inner)
        return made if inner is kind else pa.ExtensionArray.from_storage(kind, made)

    columns = {name: array(kind, value) for name, (kind, value) in values.items()}
    columns["id"] = pa.array([1, 2], pa.int64())
    pq.write_table(pa.table(columns), path, version="2.6", store_decimal_as_integer=True)


def write_int96():
    """Times as Spark, Hive and Impala wrote them: a directory with one file for each way of writing, each with the same rows."""
    import pyarrow.parquet as pq

    times = [datetime.datetime.fromisoformat(text) for text in question["times"]] + [None]
    nanos = [1709208000123456789] * (len(times) - 1) + [None]
    columns = {
        "id": pa.array(range(len(times)), pa.int64()),
        "at": pa.array(times, pa.timestamp("us")),
        "fine": pa.array(nanos, pa.timestamp("ns")),
    }
    for dictionary in (True, False):
        for version in ("1.0", "2.0"):
            file = f"{path}/dictionary-{dictionary}-pages-{version}.parquet"
            options = {"use_dictionary": dictionary, "data_page_version": version}
            pq.write_table(pa.table(columns), file, use_deprecated_int96_timestamps=True, **options)
            kinds = [pq.ParquetFile(file).schema.column(at).physical_type for at in (1, 2)]
            assert kinds == ["INT96", "INT96"], kinds


def write_empty_parquet():
    """A table without rows in one row group, as pyarrow writes it: a directory with one file for each way of writing."""
    import pyarrow.parquet as pq

    empty = pa.schema([("id", pa.int64()), ("name", pa.string())]).empty_table()
    for dictionary in (True, False):
        for version in ("1.0", "2.0"):
            file = f"{path}/dictionary-{dictionary}-pages-{version}.parquet"
            pq.write_table(empty, file, use_dictionary=dictionary, data_page_version=version)
            group = pq.read_metadata(file).row_group(0)
            assert group.num_rows == 0 and group.column(0).data_page_offset == 0, group


def split_checkpoint():
    """The newest checkpoint in three parts instead of one file, and no JSON commit below it."""
    import pyarrow.parquet as pq

    DeltaTable(path).create_checkpoint()
    version = DeltaTable(path).version()
    log = os.path.join(path, "_delta_log")
    whole = os.path.join(log, f"{version:020d}.checkpoint.parquet")
    rows = pq.read_table(whole)
    step = (len(rows) + 2) // 3
    for part in range(3):
        name = f"{version:020d}.checkpoint.{part + 1:010d}.{3:010d}.parquet"
        pq.write_table(rows.slice(part * step, step), os.path.join(log, name))
    os.unlink(whole)
    with open(os.path.join(log, "_last_checkpoint"), "w") as last:
        json.dump({"version": version, "size": len(rows), "parts": 3}, last)
    drop_commits(version)


def compact_log():
    """All commits as one compacted range, without the commits themselves."""
    version = DeltaTable(path).version()
    DeltaTable(path).compact_logs(0, version)
    assert os.path.exists(os.path.join(path, "_delta_log", f"{0:020d}.{version:020d}.compacted.json"))
    drop_commits(version)


def drop_commits(version):
    for n in range(version + 1):
        commit = os.path.join(path, "_delta_log", f"{n:020d}.json")
        if os.path.exists(commit):
            os.unlink(commit)


def clean_up():
    DeltaTable(path).create_checkpoint()
    old = time.time() - 60 * 24 * 3600
    log = os.path.join(path, "_delta_log")
    newest = DeltaTable(path).version()
    for name in os.listdir(log):
        if name.endswith(".json") and name[0].isdigit():
            os.utime(os.path.join(log, name), (old, old))
    DeltaTable(path).cleanup_metadata()
    # delta-rs keeps the version of the checkpoint itself; a clean-up by age may take it too.
    last = os.path.join(log, f"{newest:020d}.json")
    if os.path.exists(last):
        os.unlink(last)


def expire():
    """The same, after which no writer's mark is left, as where marks are set to expire."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    clean_up()
    version = DeltaTable(path).version()
    log = os.path.join(path, "_delta_log")
    whole = os.path.join(log, f"{version:020d}.checkpoint.parquet")
    rows = pq.read_table(whole)
    kept = rows.filter(pc.is_null(rows["txn"]))
    assert len(kept) < len(rows), "there was no mark"
    pq.write_table(kept, whole)
    with open(os.path.join(log, "_last_checkpoint"), "w") as last:
        json.dump({"version": version, "size": len(kept)}, last)


def live_files():
    """The newest commit of a table with the plain log, and its files, as docs/formats.md says."""
    commit = json.load(open(max(glob.glob(f"{path}/_waybill/commits/*.json"))))
    return commit, [os.path.join(path, file["path"]) for file in commit["files"]]


def is_array(kind):
    return isinstance(kind, dict) and kind["type"] == "array"


def duckdb_type(kind):
    if is_array(kind):
        return duckdb_type(kind["elementType"]) + "[]"
    names = {"boolean": "BOOLEAN", "byte": "TINYINT", "short": "SMALLINT", "integer": "INTEGER", "long": "BIGINT"}
    names |= {"float": "FLOAT", "double": "DOUBLE", "string": "VARCHAR", "binary": "VARCHAR", "date": "DATE"}
    names |= {"timestamp": "TIMESTAMPTZ", "timestamp_ntz": "TIMESTAMP"}
    return names.get(kind) or kind.upper()


def of_text(name, kind, form):
    """The column of a table out of what stands in its files."""
    if form == "csv" and is_array(kind):
        return of_text(f"CAST(CAST({name} AS JSON) AS {duckdb_type(kind)})", kind, "jsonl")
    if is_array(kind) and kind["elementType"] == "binary":
        return f"list_transform({name}, lambda x: from_base64(x))"
    if kind == "binary":
        return f"unhex({name})" if form == "csv" else f"from_base64({name})"
    return f"CAST({name} AS {duckdb_type(kind)})"


def plain_with_duckdb(sql):
    connection = plain_duckdb_with_table()
    return rows(connection.execute(sql).to_arrow_table()) if connection else []


def plain_duckdb_with_table():
    commit, files = live_files()
    form, fields = commit["table"]["format"], commit["table"]["schema"]["fields"]
    connection = duckdb.connect()
    connection.execute("SET TimeZone='UTC'")
    connection.execute("SET enable_progress_bar=false")
    if not files:
        return None
    if form == "parquet":
        source = f"read_parquet({files}, union_by_name=true)"
    elif form == "csv":
        source = f"read_csv({files}, header=true, all_varchar=true, nullstr='', allow_quoted_nulls=false, union_by_name=true)"
    else:
        columns = {field["name"]: duckdb_type(field["type"]) for field in fields}
        source = f"read_json({files}, format='newline_delimited', columns={columns})"
    there = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
    columns = []
    for field in fields:
        name = '"' + field["name"].replace('"', '""') + '"'
        value = name if form == "parquet" else of_text(name, field["type"], form)
        columns.append(f"{value if field['name'] in there else 'NULL'} AS {name}")
    connection.execute(f"CREATE VIEW t AS SELECT {', '.join(columns)} FROM {source}")
    return connection


def arrow_type(kind):
    names = {"boolean": pa.bool_(), "short": pa.int16(), "integer": pa.int32(), "long": pa.int64(), "float": pa.float32()}
    names |= {"double": pa.float64(), "string": pa.string(), "date": pa.date32(), "timestamp_ntz": pa.timestamp("us")}
    names |= {"timestamp": pa.timestamp("us", "UTC")}
    if isinstance(kind, str) and kind.startswith("decimal("):
        return pa.decimal128(*map(int, kind[8:-1].split(",")))
    return names[kind]


def plain_with_pyarrow(wanted):
    """These columns of the files, each read by pyarrow as the type that the table has."""
    import pyarrow.csv
    import pyarrow.json

    commit, files = live_files()
    fields = commit["table"]["schema"]["fields"]
    schema = pa.schema([(field["name"], arrow_type(field["type"])) for field in fields if field["name"] in wanted])
    found = []
    for file in files:
        if commit["table"]["format"] == "csv":
            convert = pyarrow.csv.ConvertOptions(
                include_columns=wanted,
                column_types=schema,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            )
            parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
            found.append(pyarrow.csv.read_csv(file, parse_options=parse, convert_options=convert))
        else:
            options = pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
            # It opens no compressed file by itself.
            found.append(pyarrow.json.read_json(pa.input_stream(file, compression="detect"), parse_options=options))
    return rows(pa.concat_tables(found).select(wanted))


def unpacked(file):
    if file.endswith(".zst"):
        return pa.input_stream(file, compression="zstd").read().decode()
    with (gzip.open if file.endswith(".gz") else open)(file, "rb") as packed:
        return packed.read().decode()


def plain_with_python():
    """What Python's own csv and json make of the files."""
    commit, files = live_files()
    found = []
    for file in files:
        text = unpacked(file)
        if commit["table"]["format"] == "csv":
            found += csv.DictReader(io.StringIO(text, newline=""))
        else:
            found += [json.loads(line) for line in text.split("\n")[:-1]]
    return found


def script(sql):
    """The rows of the last statement, as somebody reads them who types them."""
    connection = duckdb.connect()
    connection.execute("SET enable_progress_bar=false")
    os.chdir(path)
    connection.execute(sql)
    return rows(connection.to_arrow_table())


def held(how):
    """All rows, each as its columns that are not NULL; long bytes by their digest. Where two readers read, they agree."""
    if how == "plain":
        connection = plain_duckdb_with_table()
        tables = [connection.execute("SELECT * FROM t").to_arrow_table() if connection else pa.table({})]
    else:
        everything = QueryBuilder().register("t", DeltaTable(path)).execute("SELECT * FROM t")
        tables = [pa.table(everything.read_all()), duckdb_with_table().execute("SELECT * FROM t").to_arrow_table()]
    found = [sorted(json.dumps(row, sort_keys=True) for row in objects(table)) for table in tables]
    assert all(other == found[0] for other in found), "DuckDB and delta-rs read differently"
    return list(objects(tables[0]))


def objects(table):
    digest = lambda value: "sha256:" + hashlib.sha256(value).hexdigest() if len(value) > 64 else value.hex()
    shown = lambda value: digest(value) if isinstance(value, bytes) else plain(value)
    for row in rows(table):
        yield {name: shown(value) for name, value in zip(table.column_names, row) if value is not None}


def answered():
    op = question["op"]
    if op == "plain":
        answer = {"duckdb": plain(plain_with_duckdb(question["sql"])), "python": plain(plain_with_python())}
        answer["texts"] = [unpacked(file) for file in live_files()[1]] if question["texts"] else []
        answer["pyarrow"] = plain(plain_with_pyarrow(question["columns"])) if question["columns"] else []
    elif op == "held":
        answer = {"rows": held(question["how"])}
    elif op == "live":
        answer = {"duckdb": plain(plain_with_duckdb(question["sql"]))}
    elif op == "stated":
        connection = with_delta()
        connection.execute(question["statement"])
        answer = {"rows": plain(rows(connection.execute(question["sql"]).to_arrow_table()))}
    elif op == "parsed":
        answer = {"kinds": [parsed(dialect, statement) for dialect, statement in question["statements"]]}
    elif op == "pruned":
        answer = pruned(question["column"], question["value"])
    elif op == "script":
        answer = {"rows": plain(script(question["sql"]))}
    elif op == "query" and "store" in question:
        answer = {"delta_rs": plain(with_delta_rs(question["sql"]))}
    elif op == "query" and "duckdb_alone" in question:
        answer = {"duckdb": plain(with_duckdb(question["sql"]))}
    elif op == "query":
        answer = {"duckdb": plain(with_duckdb(question["sql"])), "delta_rs": plain(with_delta_rs(question["sql"]))}
    else:
        if op == "create":
            three = pa.table({"id": pa.array([1, 2, 3], pa.int64())})
            write_deltalake(path, three, configuration=question["settings"])
        elif op == "compact":
            DeltaTable(path).optimize.compact()
        elif op == "compact_below":
            DeltaTable(path).optimize.compact(target_size=question["id"])
        elif op == "checkpoint":
            DeltaTable(path).create_checkpoint()
        elif op == "clean_up":
            clean_up()
        elif op == "expire":
            expire()
        elif op == "split_checkpoint":
            split_checkpoint()
        elif op == "compact_log":
            compact_log()
        elif op == "parquet":
            write_every_parquet_type()
        elif op == "int96":
            write_int96()
        elif op == "empty_parquet":
            write_empty_parquet()
        elif op == "append":
            write_deltalake(path, one(question["id"]), mode="append")
        elif op == "delete":
            DeltaTable(path).delete(f"id = {question['id']}")
        answer = {}
    return answer


for line in sys.stdin:
    question = json.loads(line)
    path = question["table"]
    print(json.dumps(answered()), flush=True)
