"""Builds Waybill's images without an engine, a registry or a base image, byte for byte the same from the same inputs.

    build.py --binaries DIRECTORY --out DIRECTORY [--architecture amd64|arm64] [--sbom DIRECTORY] [--level 0..9] NAME…

NAME is worker, orchestrator, agent or cli. An image holds one program, the C library's files that it links, CA certificates and four
small text files; no shell, no package manager, nobody's user but 65532. Written are NAME.tar, an OCI layout that `docker load` and
`skopeo copy oci-archive:` take as well, and a line `NAME sha256:… SIZE` on standard output: the manifest's digest, to pin.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile

USER = "65532:65532"
IMAGES = {
    # Where it runs is part of the entry point, which no launch request can change: there the guard is not optional.
    "worker": {"program": "waybill-worker", "fixed": ["--cloud", "aws-ecs"], "command": ["run"]},
    "orchestrator": {"program": "waybill-orchestrator", "command": ["serve", "--config", "/etc/waybill/orchestrator.toml"]},
    # What it keeps is a volume; the engine that it starts workers with is the host's, whose socket is mounted.
    "agent": {"program": "waybill-agent", "command": ["run"]},
    "cli": {"program": "waybill", "command": ["--help"]},
}
# Directories of the program's own user, and those that are volumes.
OWN = {"orchestrator": {"var/lib/waybill", "var/lib/waybill/keys", "var/lib/waybill/state"}, "agent": {"var/lib/waybill-agent"}}
VOLUMES = {"orchestrator": "/var/lib/waybill/state", "agent": "/var/lib/waybill-agent"}
TEXTS = {
    "etc/passwd": "waybill:x:65532:65532:Waybill:/:/none\n",
    "etc/group": "waybill:x:65532:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
}
# What the ELF header says of a processor, and what Debian calls it.
MACHINES = {
    "amd64": {"elf": "Advanced Micro Devices X86-64", "triplet": "x86_64-linux-gnu"},
    "arm64": {"elf": "AArch64", "triplet": "aarch64-linux-gnu"},
}
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
OCI = "application/vnd.oci.image"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def elf(program, architecture):
    """(the loader that the program names, the shared objects that it needs)."""
    said = subprocess.run(["readelf", "-hld", "--wide", program], check=True, capture_output=True, text=True).stdout
    machine = re.search(r"Machine:\s+(.+)", said)
    if not machine or machine.group(1).strip() != MACHINES[architecture]["elf"]:
        found = machine.group(1).strip() if machine else "no program"
        sys.exit(f"build.py: {program} is for {found}, not for {architecture}: build it with deploy/images/binaries.sh {architecture}")
    loader = re.search(r"program interpreter: (/[^]]+)\]", said)
    return loader and loader.group(1), re.findall(r"\(NEEDED\)\s+Shared library: \[([^]]+)\]", said)


def libraries(program, architecture):
    """The shared objects that the loader takes, under the paths where it looks for them: from this machine where it has this processor,
    else from its packages for cross compilers."""
    triplet = MACHINES[architecture]["triplet"]
    places = [f"/lib/{triplet}", f"/usr/lib/{triplet}", f"/usr/{triplet}/lib"]
    loader, todo = elf(program, architecture)
    if not loader:
        sys.exit(f"build.py: {program} names no loader")
    found = {}
    while todo:
        name = todo.pop()
        path = loader.lstrip("/") if name == os.path.basename(loader) else f"lib/{triplet}/{name}"
        if path not in found:
            real = next((os.path.realpath(f"{place}/{name}") for place in places if os.path.exists(f"{place}/{name}")), None)
            if real is None:
                sys.exit(f"build.py: {program}: {name} is in none of {', '.join(places)}")
            found[path] = real
            todo += elf(real, architecture)[1]
    if loader.lstrip("/") not in found:
        todo = [f"{place}/{os.path.basename(loader)}" for place in places]
        found[loader.lstrip("/")] = os.path.realpath(next(path for path in todo if os.path.exists(path)))
    return found


def packages(files):
    """Debian packages, with versions, that the copied system files come from."""
    names = set()
    for file in files:
        for path in (file, file.removeprefix("/usr"), "/usr" + file):
            asked = subprocess.run(["dpkg-query", "-S", path], capture_output=True, text=True)
            if asked.returncode == 0:
                names.add(asked.stdout.split(": ")[0].split(",")[0])
                break
    shown = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version} ${Architecture}\n", *sorted(names)], capture_output=True, text=True)
    return [line.split() for line in shown.stdout.splitlines()] if names else []


def entry(name, kind, mode, data=b"", owner=0):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size, info.mtime = kind, mode, len(data), 0
    info.uid = info.gid = owner
    return info, data


def root(name, binaries, sbom, architecture):
    """Every file of the image by its path, and every directory above them."""
    program = os.path.join(binaries, IMAGES[name]["program"])
    if not os.path.exists(program):
        sys.exit(f"build.py: {program} is missing: build it first (deploy/images/binaries.sh {architecture})")
    system = libraries(program, architecture)
    files = {IMAGES[name]["program"]: (0o555, program)}
    files.update({path: (0o555, real) for path, real in system.items()})
    files["etc/ssl/certs/ca-certificates.crt"] = (0o444, CERTIFICATES)
    contents = {path: (mode, open(real, "rb").read()) for path, (mode, real) in files.items()}
    contents.update({path: (0o444, text.encode()) for path, text in TEXTS.items()})
    if sbom:
        contents["usr/share/waybill/sbom.cdx.json"] = (0o444, with_packages(sbom, name, [*system.values(), CERTIFICATES]))
    own = OWN.get(name, set())
    directories = {"tmp", *own}
    for path in [*contents, *directories]:
        while "/" in path:
            path = path.rsplit("/", 1)[0]
            directories.add(path)
    entries = [entry(path, tarfile.DIRTYPE, 0o1777 if path == "tmp" else 0o700 if path in own else 0o755, owner=65532 if path in own else 0) for path in directories]
    entries += [entry(path, tarfile.REGTYPE, mode, data) for path, (mode, data) in contents.items()]
    return sorted(entries, key=lambda found: found[0].name)


def with_packages(sbom, name, files):
    """The program's bill of materials with the system files that the image adds."""
    with open(os.path.join(sbom, f"{name}.cdx.json")) as file:
        bill = json.load(file)
    for package, version, architecture in packages(files):
        purl = f"pkg:deb/debian/{package}@{version}?arch={architecture}"
        bill["components"].append({"type": "library", "name": package, "version": version, "purl": purl, "bom-ref": purl})
    bill["components"].sort(key=lambda component: component["bom-ref"])
    return json.dumps(bill, indent=1).encode()


def packed(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def image(name, layer, level, architecture):
    """(blobs by digest, manifest digest, what `docker load` reads)."""
    compressed = gzip.compress(layer, compresslevel=level, mtime=0)
    settings = IMAGES[name]
    config = canonical(
        {
            "architecture": architecture,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {
                "User": USER,
                "Entrypoint": ["/" + settings["program"], *settings.get("fixed", [])],
                "Cmd": settings["command"],
                "WorkingDir": "/",
                # Fargate gives a fresh volume the owner that the image's directory has, where the image declares it.
                **({"Volumes": {VOLUMES[name]: {}}} if name in VOLUMES else {}),
                "Env": ["SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"],
                "Labels": {"org.opencontainers.image.title": "waybill-" + name, "org.opencontainers.image.licenses": "Apache-2.0"},
            },
            "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "deploy/images/build.py"}],
        }
    )
    manifest = canonical(
        {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "config": {"mediaType": f"{OCI}.config.v1+json", "digest": digest(config), "size": len(config)},
            "layers": [{"mediaType": f"{OCI}.layer.v1.tar+gzip", "digest": digest(compressed), "size": len(compressed)}],
        }
    )
    blobs = {digest(data): data for data in (compressed, config, manifest)}
    blob = lambda data: "blobs/sha256/" + digest(data).removeprefix("sha256:")  # noqa: E731
    load = [{"Config": blob(config), "RepoTags": [f"waybill-{name}:latest"], "Layers": [blob(compressed)]}]
    return blobs, manifest, load


def write(path, blobs, manifest, load):
    index = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.index.v1+json",
        "manifests": [{"mediaType": f"{OCI}.manifest.v1+json", "digest": digest(manifest), "size": len(manifest)}],
    }
    files = {"blobs/sha256/" + name.removeprefix("sha256:"): data for name, data in blobs.items()}
    files.update({"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": canonical(index), "manifest.json": canonical(load)})
    directories = [entry("blobs", tarfile.DIRTYPE, 0o755), entry("blobs/sha256", tarfile.DIRTYPE, 0o755)]
    entries = directories + [entry(name, tarfile.REGTYPE, 0o644, data) for name, data in files.items()]
    with open(path, "wb") as file:
        file.write(packed(sorted(entries, key=lambda found: found[0].name)))


def main():
    parser = argparse.ArgumentParser(description="Builds Waybill's images.")
    parser.add_argument("--binaries", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--architecture", choices=sorted(MACHINES), default="amd64")
    parser.add_argument("--sbom", help="directory with NAME.cdx.json, made by sbom.py")
    parser.add_argument("--level", type=int, default=9, help="of compression; 0 for none")
    parser.add_argument("names", nargs="+", choices=sorted(IMAGES))
    asked = parser.parse_args()
    os.makedirs(asked.out, exist_ok=True)
    for name in asked.names:
        blobs, manifest, load = image(name, packed(root(name, asked.binaries, asked.sbom, asked.architecture)), asked.level, asked.architecture)
        write(os.path.join(asked.out, f"{name}.tar"), blobs, manifest, load)
        print(name, digest(manifest), sum(len(data) for data in blobs.values()))


if __name__ == "__main__":
    main()
