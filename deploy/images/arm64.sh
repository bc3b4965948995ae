#!/usr/bin/env bash
# Builds the images for ARM64 on another machine and tries them there in QEMU's emulation of the processor, with nothing but the images'
# own files: every program starts, and the worker moves rows from SQLite into a directory, which DuckDB reads back and the worker
# verifies. It is no ARM hardware, and speed says nothing.
#   deploy/images/arm64.sh [OUT-DIRECTORY [DIRECTORY-WITH-BINARIES]]
set -euo pipefail
cd "$(dirname "$0")/../.."
emulator=qemu-aarch64-static
command -v "$emulator" >/dev/null || { echo "arm64.sh: $emulator is missing: apt-get install qemu-user-static" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
out=${1:-$work/images}
deploy/images/build.sh --architecture arm64 "$out" ${2:+"$2"}

# unpack NAME: the one layer of an image, as a directory.
unpack() {
  mkdir -p "$work/$1/parts" "$work/$1/root"
  tar -xf "$out/$1.tar" -C "$work/$1/parts"
  layer=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1] + "/manifest.json"))[0]["Layers"][0])' "$work/$1/parts")
  tar -xzf "$work/$1/parts/$layer" -C "$work/$1/root"
}

# run NAME PROGRAM ARGUMENT…: within the image's own root, whose loader and libraries are the only ones that are found.
run() {
  local root=$work/$1/root program=$2
  shift 2
  "$emulator" -L "$root" -E LD_LIBRARY_PATH= "$root/$program" "$@"
}

for pair in worker:waybill-worker orchestrator:waybill-orchestrator agent:waybill-agent cli:waybill; do
  unpack "${pair%%:*}"
  echo "arm64: $(run "${pair%%:*}" "${pair##*:}" --version)"
done
python3 - "$work/shop.db" <<'PYTHON'
import sqlite3
import sys

with sqlite3.connect(sys.argv[1]) as shop:
    shop.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, amount TEXT NOT NULL, note TEXT, weight REAL, seal BLOB)")
    rows = ((n, f"{n}.{n % 100:02}", None if n % 7 == 0 else f"naïve № {n}", n / 3, n.to_bytes(5, "big")) for n in range(200_000))
    shop.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", rows)
PYTHON
cat > "$work/shop.yaml" <<YAML
waybill: 1
connections:
  shop: { type: sqlite, path: $work/shop.db }
  lake: { type: local, path: $work/lake }
pipelines:
  shop: { from: shop, to: lake, streams: { orders: { load: full } } }
YAML
mkdir "$work/lake"
run worker waybill-worker once --spec "$work/shop.yaml" --pipeline shop
run worker waybill-worker verify "$work/lake"
"$(deploy/dev/python.sh readers)" - "$work" <<'PYTHON'
import glob
import sqlite3
import sys

import duckdb

work = sys.argv[1]
table = glob.glob(f"{work}/lake/**/data/**/*.parquet", recursive=True)
read = sorted(duckdb.sql(f"SELECT * FROM read_parquet({table})").fetchall())
wanted = sqlite3.connect(f"{work}/shop.db").execute("SELECT * FROM orders ORDER BY id").fetchall()
if read != wanted:
    sys.exit("arm64: what DuckDB reads is not what the source holds")
print(f"arm64: DuckDB reads the {len(read)} rows of the source, value for value")
PYTHON
