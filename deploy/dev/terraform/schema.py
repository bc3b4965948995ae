"""Reads the schemas of the AWS provider's resources out of the npm package @cdktf/provider-aws: schema.py LIB-DIRECTORY > schema.json

The package is generated from the provider's own schema. Each of its classes lists attributes and blocks in its
`synthesizeHclAttributes` and says in its typings which of them are required. What can't be told is left loose (`dynamic`, or
optional), never strict, so that a module that the real provider takes is not refused here.
"""

import json
import os
import re
import sys

ENTRY = re.compile(
    r'^\s+(\w+): \{\n\s+value: (.*),\n\s+isBlock: (true|false),\n\s+type: "(\w+)",\n\s+storageClassType: "(\w+)",\n', re.M
)
SIMPLE = {
    "string": "string",
    "number": "number",
    "boolean": "bool",
    "any": "dynamic",
    "stringList": ["list", "string"],
    "numberList": ["list", "number"],
    "booleanList": ["list", "bool"],
    "anyListList": ["list", "dynamic"],
    "stringListList": ["list", ["list", "string"]],
    "stringMap": ["map", "string"],
    "numberMap": ["map", "number"],
    "booleanMap": ["map", "bool"],
    "anyMap": ["map", "dynamic"],
    "stringListMap": ["map", ["list", "string"]],
    "stringMapList": ["list", ["map", "string"]],
}
COMPUTED = {
    "String": "string",
    "Number": "number",
    "Boolean": "bool",
    "List": ["list", "string"],
    "StringMap": ["map", "string"],
    "NumberList": ["list", "number"],
}
NESTING = {"list": "LIST", "set": "SET", "struct": "SINGLE", "map": "MAP"}


def camel(name):
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


class Package:
    """One resource, data source or provider of the package."""

    def __init__(self, directory):
        with open(f"{directory}/index.js") as code, open(f"{directory}/index.d.ts") as typings:
            self.code, typings = code.read(), typings.read()
        self.required = {}
        for name, body in re.findall(r"export interface (\w+)(?: extends [^{]+)? \{(.*?)^\}", typings, re.M | re.S):
            self.required[name] = {key: mark != "?" for key, mark in re.findall(r"^    readonly (\w+)(\??):", body, re.M)}
        self.writers = dict(re.findall(r"^function (\w+)ToHclTerraform\(struct\) \{(.*?)^\}", self.code, re.M | re.S))

    def block(self, body, interface, depth=0):
        """Attributes and nested blocks of one block, as [name, type, required] and [name, nesting, max, min, block]."""
        attributes, blocks = [], []
        required = self.required.get(interface, {})
        for name, value, is_block, kind, storage in ENTRY.findall(body):
            needed = required.get(camel(name), required.get(camel(name) + "Attribute", False))
            if storage in SIMPLE:
                shape = SIMPLE[storage]
                if kind == "set" and isinstance(shape, list):
                    shape = ["set", *shape[1:]]
                attributes.append([name, shape, needed])
                continue
            writer = re.search(r"(\w+)ToHclTerraform", value)
            nested = {"attributes": [], "blocks": []}
            if writer and depth < 6:
                inner = writer.group(1)
                nested = self.block(self.writers.get(inner, ""), inner[0].upper() + inner[1:], depth + 1)
            if is_block == "true":
                single = "listMapperHcl" not in value and kind in ("list", "set")
                blocks.append([name, NESTING.get(kind, "LIST"), int(single), int(needed), nested])
            else:
                attributes.append([name, "dynamic", needed])
        return {"attributes": attributes, "blocks": blocks}

    def read(self):
        """(kind, terraform name, block, computed attributes), or None for what is neither."""
        found = re.search(r"class (\w+) extends cdktf\.Terraform(Resource|DataSource|Provider) \{(.*?)^\}", self.code, re.M | re.S)
        if not found:
            return None
        name, kind, body = found.groups()
        terraform_name = re.search(name + r'\.tfResourceType = "(\w+)"', self.code).group(1)
        block = self.block(body[body.index("synthesizeHclAttributes") :], name + "Config")
        have = {entry[0] for entry in block["attributes"] + block["blocks"]}
        computed = []
        for shape, attribute in re.findall(r"return this\.get(String|Number|Boolean|List|StringMap|NumberList|)Attribute\('(\w+)'\)", body):
            if attribute not in have:
                have.add(attribute)
                computed.append([attribute, COMPUTED.get(shape, "dynamic")])
        for attribute in re.findall(r'new \w+\(this, "(\w+)", \w+\)', body):
            if attribute not in have:
                have.add(attribute)
                computed.append([attribute, "dynamic"])
        if kind != "Provider" and "id" not in have:
            computed.append(["id", "string"])
        return kind, terraform_name, block, computed


def main(root):
    schemas = {"Resource": {}, "DataSource": {}, "Provider": {}}
    for entry in sorted(os.listdir(root)):
        directory = os.path.join(root, entry)
        if not (os.path.exists(f"{directory}/index.js") and os.path.exists(f"{directory}/index.d.ts")):
            continue
        found = Package(directory).read()
        if found:
            kind, name, block, computed = found
            schemas[kind][name] = {"block": block, "computed": computed}
    json.dump(schemas, sys.stdout, separators=(",", ":"))


if __name__ == "__main__":
    main(sys.argv[1])
