"""Lints policies: lint.py < documents.json prints {name: [finding…]}. Documents without resources (trusts) are left out."""

import json
import sys
import warnings

warnings.filterwarnings("ignore", category=UserWarning)
import parliament  # noqa: E402  (its import warns of how it finds its own files)

found = {}
for name, document in json.load(sys.stdin).items():
    if all("Resource" in statement for statement in document["Statement"]):
        findings = parliament.analyze_policy_string(json.dumps(document)).findings
        found[name] = [f"{finding.issue} {finding.detail}" for finding in findings]
json.dump(found, sys.stdout)
