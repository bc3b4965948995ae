"""Times whole commands from outside, in turn (A B C, A B C, …), so that a machine whose speed drifts hits all alike.

Prints medians of wall time, user and system CPU of the command, and its peak memory; counts the rows in what was written, since
exit 0 is no proof that they are there. A server shares the cores with what is measured, so only ratios within one run mean much.
A child's peak memory begins at this process's own before exec, so nothing large is ever imported here.
"""
import glob
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

HOME = os.environ["BENCH_DIR"]
ROUNDS = int(os.environ["ROUNDS"])
OUT = f"{HOME}/out"


def waybill(name, connection, pipeline, memory, lake=f'{{ type: local, path: "{OUT}" }}'):
    """The worker with a pipeline from this connection into a directory, or into what else is named."""
    path = f"{HOME}/{name}.waybill.yaml"
    with open(path, "w") as file:
        file.write(f"""waybill: 1
connections:
  shop: {connection}
  lake: {lake}
pipelines:
  bench:
    from: shop
    to: lake
{pipeline}""")
    return ["waybill-worker", "once", "--json", "--memory", memory, "--spec", path]


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
    files = [path for ending in ("parquet", "csv", "csv.gz") for path in glob.glob(f"{OUT}/**/*.{ending}", recursive=True)]
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


def compare(title, rows, commands, rounds, written=rows_written, before=lambda: None):
    results = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            before()
            results[name].append(once(command))
            if not name.endswith("/dev/null") and (there := written()) != rows:
                sys.exit(f"{name}: {there} rows were written, {rows} are at the source")
            if name.startswith("waybill") and (reported := rows_reported()) != rows:
                sys.exit(f"{name}: reported {reported} rows, {rows} at the source")
    print(f"\n## {title} ({rows:,} rows, medians of {rounds})")
    print(f"{'':42s} {'wall s':>8s} {'min-max':>14s} {'cpu s':>8s} {'peak MiB':>9s} {'files MB':>9s}")
    medians = {}
    for name, runs in results.items():
        wall, cpu, peak, size = (statistics.median(run[i] for run in runs) for i in range(4))
        medians[name] = dict(wall=wall, cpu=cpu, peak=peak, size=size)
        walls = f"{min(run[0] for run in runs):6.2f}-{max(run[0] for run in runs):6.2f}"
        print(f"{name:42s} {wall:8.2f} {walls:>14s} {cpu:8.2f} {peak:9.0f} {size:9.1f}")
    return medians
