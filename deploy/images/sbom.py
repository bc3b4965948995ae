"""Writes a CycloneDX bill of materials for each program: sbom.py [--architecture amd64|arm64] OUT-DIRECTORY NAME…

NAME is worker, orchestrator, agent or cli.

It is read from `cargo metadata` of the locked tree with the features that ship: what is linked into the program, with version,
licence, checksum of the registry's package, and who depends on whom. An orchestrator that has the web console inside has its
packages of npm too, read from their lock file. No time and no random number stands in it, so that it is the same for the same tree.
"""

import argparse
import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import uuid

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
PACKAGES = {"worker": "waybill-worker", "orchestrator": "waybill-orchestrator", "agent": "waybill-agent", "cli": "waybill-cli"}
FEATURES = "waybill-worker/clouds"
CONSOLE = "waybill-console"
SITE = os.path.join(ROOT, "crates/console/dist/site/index.html")
PLATFORMS = {"amd64": "x86_64-unknown-linux-gnu", "arm64": "aarch64-unknown-linux-gnu"}


def metadata(architecture):
    platform = PLATFORMS[architecture]
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--features", FEATURES, "--filter-platform", platform]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def checksums():
    with open(os.path.join(ROOT, "Cargo.lock")) as file:
        text = file.read()
    return {(name, version): sum_ for name, version, sum_ in re.findall(r'name = "([^"]+)"\nversion = "([^"]+)"\nsource = "[^"]+"\nchecksum = "([0-9a-f]+)"', text)}


def linked(nodes, start):
    """Packages that become part of the program: normal dependencies, and theirs."""
    edges, todo = {}, [start]
    while todo:
        package = todo.pop()
        if package in edges:
            continue
        normal = [dep["pkg"] for dep in nodes[package]["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]
        edges[package] = sorted(normal)
        todo.extend(normal)
    return edges


def component(package, sums):
    purl = f"pkg:cargo/{package['name']}@{package['version']}"
    out = {"type": "library", "bom-ref": purl, "name": package["name"], "version": package["version"], "purl": purl}
    if package.get("license"):
        out["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    known = sums.get((package["name"], package["version"]))
    if known:
        out["hashes"] = [{"alg": "SHA-256", "content": known}]
    return out


def console():
    """Components of the web console and who depends on whom; the first one stands for what the console itself asks for."""
    with open(os.path.join(ROOT, "web/package-lock.json")) as file:
        locked = json.load(file)["packages"]
    reference = lambda path: "pkg:npm/" + path.rpartition("node_modules/")[2].replace("@", "%40") + "@" + locked[path]["version"]  # noqa: E731

    def found(path, name):
        """A package is looked for from where it is asked for, upwards."""
        while True:
            at = f"{path}/node_modules/{name}".lstrip("/")
            if at in locked:
                return at
            if not path:
                return None
            path = path.rpartition("node_modules/")[0].rstrip("/")

    edges, todo = {}, [""]
    while todo:
        path = todo.pop()
        if path in edges:
            continue
        package = locked[path]
        wanted = [*package.get("dependencies", {}), *package.get("optionalDependencies", {}), *package.get("peerDependencies", {})]
        edges[path] = sorted({at for at in (found(path, name) for name in wanted) if at is not None and not locked[at].get("dev")})
        todo.extend(edges[path])
    components = []
    for path in edges.keys() - {""}:
        package, purl = locked[path], reference(path)
        kind, _, sum_ = package["integrity"].partition("-")
        hashes = [{"alg": kind.replace("sha", "SHA-"), "content": base64.b64decode(sum_).hex()}]
        out = {"type": "library", "bom-ref": purl, "name": path.rpartition("node_modules/")[2], "version": package["version"], "purl": purl}
        components.append(out | {"licenses": [{"expression": package["license"]}], "hashes": hashes})
    asked = [reference(path) for path in edges.pop("")]
    return components, asked, {reference(path): sorted(map(reference, targets)) for path, targets in edges.items()}


def bill(tree, sums, name):
    packages = {package["id"]: package for package in tree["packages"]}
    nodes = {node["id"]: node for node in tree["resolve"]["nodes"]}
    start = next((package["id"] for package in tree["packages"] if package["name"] == PACKAGES[name]), None)
    if start is None:
        sys.exit(f"sbom.py: the workspace has no package {PACKAGES[name]}")
    edges = linked(nodes, start)
    reference = lambda package: f"pkg:cargo/{packages[package]['name']}@{packages[package]['version']}"  # noqa: E731
    components = [component(packages[package], sums) for package in edges if package != start]
    depends = {reference(package): {reference(target) for target in targets} for package, targets in edges.items()}
    embeds = next((package for package in edges if packages[package]["name"] == CONSOLE), None)
    if embeds is not None and os.path.exists(SITE):
        theirs, asked, among = console()
        components += theirs
        depends |= among
        depends[reference(embeds)] |= set(asked)
    components.sort(key=lambda found: found["bom-ref"])
    itself = component(packages[start], sums) | {"type": "application"}
    out = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": itself},
        "components": components,
        "dependencies": [{"ref": package, "dependsOn": sorted(targets)} for package, targets in sorted(depends.items())],
    }
    seed = hashlib.sha256(json.dumps(out, sort_keys=True).encode()).digest()
    return {**out, "serialNumber": uuid.UUID(bytes=seed[:16], version=4).urn}


def main(architecture, directory, names):
    os.makedirs(directory, exist_ok=True)
    tree, sums = metadata(architecture), checksums()
    for name in names:
        with open(os.path.join(directory, f"{name}.cdx.json"), "w") as file:
            json.dump(bill(tree, sums, name), file, indent=1, sort_keys=True)
            file.write("\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Writes bills of materials of Waybill's programs.")
    parser.add_argument("--architecture", choices=sorted(PLATFORMS), default="amd64")
    parser.add_argument("directory")
    parser.add_argument("names", nargs="+", choices=sorted(PACKAGES))
    asked = parser.parse_args()
    main(asked.architecture, asked.directory, asked.names)
