"""The benchmark's `lineitem` out of PostgreSQL into S3, beside the same run into a directory and a plain PUT of the same bytes.

The store is roto-aws, which keeps objects in memory and was faster than the other S3 server at hand (SeaweedFS). What it takes for the
bytes alone is measured in the same run: where that is more than half of the run into a directory, the store is what is measured, and
no limit is held.
"""
import http.client
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.parse
import xml.etree.ElementTree as xml

import measure
import servers
from measure import HOME, OUT, ROUNDS, compare

# What a request must carry to be taken for a signed one where signatures are not checked.
SIGNED = {"authorization": "AWS4-HMAC-SHA256 Credential=waybill/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"}
# So many bytes of each file at once, as one object.
PUT = """import http.client, os, sys
port, folder, signed = int(sys.argv[1]), sys.argv[2], {'authorization': sys.argv[3]}
store = http.client.HTTPConnection('127.0.0.1', port)
for name in sorted(os.listdir(folder)):
    with open(os.path.join(folder, name), 'rb') as file:
        store.request('PUT', '/lake/plain/' + name, file, {**signed, 'content-length': str(os.path.getsize(file.name))})
        answer = store.getresponse()
        answer.read()
        assert answer.status == 200, answer.status"""


class Store:
    """One server after the other on one port, each with an empty bucket `lake`."""

    def __init__(self):
        self.port, self.process = servers.free_port(), None
        self.program = os.path.join(os.environ["S3_PROGRAMS"], "roto-server")

    def fresh(self):
        self.stop()
        command = [self.program, "--ephemeral", "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                self.ask("PUT", "")
                return
            except OSError:
                time.sleep(0.05)
        sys.exit("roto-server did not start")

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    def ask(self, method, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request(method, f"/lake{path}", headers=SIGNED)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            sys.exit(f"{method} /lake{path}: {answer.status}")
        return answer, body

    def sizes(self):
        """Keys and sizes of all objects."""
        found, after = {}, ""
        while after is not None:
            page = xml.fromstring(self.ask("GET", f"?list-type=2{after}")[1])
            space = page.tag.partition("}")[0] + "}"
            for entry in page.findall(f"{space}Contents"):
                found[entry.find(f"{space}Key").text] = int(entry.find(f"{space}Size").text)
            more = page.find(f"{space}NextContinuationToken")
            after = None if more is None else f"&continuation-token={urllib.parse.quote(more.text, safe='')}"
        return found

    def rows(self):
        """What the table's first commit adds, if each of its files is there with its size."""
        sizes = self.sizes()
        log = next(key for key in sizes if key.endswith("_delta_log/00000000000000000000.json"))
        table, rows = log.partition("_delta_log/")[0], 0
        for line in self.ask("GET", f"/{log}")[1].splitlines():
            if add := json.loads(line).get("add"):
                if sizes[table + urllib.parse.unquote(add["path"])] != add["size"]:
                    sys.exit(f"{add['path']} is not whole")
                rows += json.loads(add["stats"])["numRecords"]
        return rows


def kept(command):
    """The files of one run into a directory, to be put again."""
    folder = f"{HOME}/kept"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    measure.once(command)
    for place, _, names in os.walk(OUT):
        for name in names:
            if name.endswith(".parquet"):
                shutil.move(os.path.join(place, name), folder)
    return folder


def store(server, schema, scale, limits):
    table, rows = f"{schema}.lineitem", int(server.ask(f"select count(*) from {schema}.lineitem"))
    connection = f"{{ type: postgres, host: 127.0.0.1, port: {server.port}, database: postgres, user: bench, tls: disable }}"
    pipeline = f"    limits: {{ parallel: 2 }}\n    streams:\n      {table}: {{ load: full }}\n"
    os.environ.update(BENCH_KEY="waybill", BENCH_SECRET="very-secret-key")
    bucket = Store()
    lake = f'{{ type: s3, bucket: lake, prefix: raw, region: us-east-1, endpoint: "http://127.0.0.1:{bucket.port}", access-key: env://BENCH_KEY, secret-key: env://BENCH_SECRET }}'
    directory = measure.waybill("store-directory", connection, pipeline, "256MiB")
    remote = measure.waybill("store-s3", connection, pipeline, "256MiB", lake)
    plain = [sys.executable, "-c", PUT, str(bucket.port), kept(directory), SIGNED["authorization"]]

    def written():
        keys = bucket.sizes()
        if any(key.startswith("plain/") for key in keys):
            total = sum(os.path.getsize(f"{HOME}/kept/{name}") for name in os.listdir(f"{HOME}/kept"))
            return rows if sum(keys.values()) == total else -1
        return bucket.rows() if keys else measure.rows_written()

    try:
        found = compare(f"PostgreSQL lineitem, scale {scale:g}, to S3 (roto-aws, in memory)", rows, {
            "waybill, 256 MiB, into a directory": directory,
            "waybill, 256 MiB, into S3": remote,
            "PUT of the same bytes": plain,
        }, ROUNDS, written=written, before=bucket.fresh)
    finally:
        bucket.stop()
        shutil.rmtree(f"{HOME}/kept", ignore_errors=True)
    near, far, bytes_alone = (value["wall"] for value in found.values())
    size = found["waybill, 256 MiB, into a directory"]["size"]
    print(f"into S3 / into a directory: wall {far / near:.2f}; the store takes {size / bytes_alone:.0f} MB/s by itself")
    if bytes_alone > near / 2:
        print(f"no limit is held: the store alone takes {bytes_alone / near:.2f} of a run into a directory, and shares its cores")
    elif scale >= 1:
        limits.hold("to S3: wall to a directory's", far / near, 1.15)
    if scale >= 1:
        limits.hold("to S3: peak", found["waybill, 256 MiB, into S3"]["peak"], 256, " MiB")
    return found
