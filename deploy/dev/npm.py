"""Looks through what the web console is made of: npm.py DIRECTORY…, each with package.json and package-lock.json.

Every package is asked for by one exact version, is locked with the checksum of the registry's file, and has a licence that deny.toml
allows. What only builds or tests the console is in no program, and may have a few more. Nothing is asked of any server: known
advisories are not looked for here.
"""

import json
import os
import re
import sys
import tomllib

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
EXACT = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?")
# In the public domain, by its author's word.
SHIPPED = {"Unlicense"}
# Of tools, which are used as they come and not handed on.
TOOLS = {"0BSD", "MPL-2.0", "Python-2.0"}
# Nothing of these is built into the console: they write its types.
GENERATORS = {"codegen"}


def allowed(expression, known):
    """Whether one of the licences that may be chosen is known."""
    return any(part.strip() in known for part in expression.strip("()").split(" OR "))


def findings(directory, licences):
    with open(os.path.join(directory, "package.json")) as file:
        asked = json.load(file)
    with open(os.path.join(directory, "package-lock.json")) as file:
        locked = json.load(file)["packages"]
    wanted = asked.get("dependencies", {}) | asked.get("devDependencies", {})
    for name, version in sorted(wanted.items()):
        if not EXACT.fullmatch(version):
            yield f"{directory}/package.json: {name} is asked for as {version}; write the exact version that is locked"
        elif locked.get(f"node_modules/{name}", {}).get("version") != version:
            yield f"{directory}/package-lock.json: {name} {version} is asked for but not locked"
    tools = os.path.basename(directory) in GENERATORS
    for path, package in sorted(locked.items()):
        if not path:
            continue
        name = f"{directory}/package-lock.json: {path.rpartition('node_modules/')[2]} {package.get('version')}"
        if not package.get("integrity", "").startswith("sha512-"):
            yield f"{name} has no SHA-512 of the registry's file"
        known = licences | SHIPPED | (TOOLS if tools or package.get("dev") else set())
        if not allowed(package.get("license", ""), known):
            yield f"{name} has licence {package.get('license', 'unknown')}, which deny.toml does not allow"


def main(directories):
    with open(os.path.join(ROOT, "deny.toml"), "rb") as file:
        licences = set(tomllib.load(file)["licenses"]["allow"])
    found = [finding for directory in directories for finding in findings(directory, licences)]
    for finding in found:
        print(f"npm.py: {finding}", file=sys.stderr)
    if found:
        sys.exit(1)
    print("packages of the web console ok")


if __name__ == "__main__":
    main(sys.argv[1:])
