"""Prints the rows of a table of CSV or JSON Lines files: python3 read_files.py DIRECTORY"""
import csv, gzip, json, pathlib, sys
table = pathlib.Path(sys.argv[1])
commit = json.loads(max(table.glob("_waybill/commits/*.json")).read_text())
for file in commit["files"]:
    is_packed = file["path"].endswith(".gz")
    with (gzip.open if is_packed else open)(table / file["path"], "rt", newline="", encoding="utf-8") as lines:
        for row in map(json.loads, lines) if commit["table"]["format"] == "jsonl" else csv.DictReader(lines):
            print(row)
