"""Lints the Helm chart, renders it with several values and checks each manifest against the schemas of Kubernetes: charts.py

Helm itself does the linting and rendering, as a library; no cluster is asked. Values that must be refused are tried as well.
"""

import os
import sys

import helm_python
import kubernetes_validate
import yaml

CHART = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../helm/waybill")
VERSIONS = ("1.28", "1.37")
DIGEST = {"repository": "registry.example.com/waybill-orchestrator", "digest": "sha256:" + "0" * 64}
ONE = {"image": DIGEST, "names": ["waybill.example.com"], "worker": {"name": "workers.example.com"}}
MANY = {
    **ONE,
    "replicas": 3,
    "database": {"secret": "waybill-database", "key": "url"},
    "keys": {"accessMode": "ReadWriteMany", "storageClass": "shared", "size": "1Gi"},
    "worker": {"name": "workers.example.com", "sourceRanges": ["10.0.0.0/8"], "annotations": {"example.com/internal": "true"}},
    "metrics": {"fromPodLabels": {"app": "prometheus"}},
    "settings": '[bounds]\nlease = "90s"\n',
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
}
REFUSED = {
    "no digest": {**ONE, "image": {**DIGEST, "digest": ""}},
    "a tag for a digest": {**ONE, "image": {**DIGEST, "digest": "latest"}},
    "no name": {**ONE, "names": []},
    "no worker.name": {"image": DIGEST, "names": ["waybill.example.com"]},
    "one address for people and workers": {**ONE, "worker": {"name": "waybill.example.com"}},
    "an unknown value": {**ONE, "replica": 2},
    "two replicas on SQLite": {**ONE, "replicas": 2},
    "two replicas on a volume for one": {**ONE, "replicas": 2, "database": {"secret": "s", "key": "url"}},
}

SAID = {
    "no worker.name": "worker.name: workers reach a service of their own",
    "one address for people and workers": "worker.name: the first of names has this port already",
}


def manifests(chart, values):
    for path, text in chart.render(values, name="waybill", namespace="waybill").items():
        if path.endswith((".yaml", ".yml")):
            yield from (found for found in yaml.safe_load_all(text) if found)


def check_pods(found):
    """What every pod of ours promises."""
    pod = found["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False and pod["securityContext"]["runAsNonRoot"] is True
    for container in pod["initContainers"] + pod["containers"]:
        assert "@sha256:" in container["image"], container["image"]
        locked = container["securityContext"]
        assert locked["readOnlyRootFilesystem"] and not locked["allowPrivilegeEscalation"] and locked["capabilities"] == {"drop": ["ALL"]}


def check_addresses(found):
    """People and workers are told two addresses, one for each service."""
    lines = [line.strip() for line in found["data"]["orchestrator.toml"].splitlines()]
    assert 'public-api = "waybill.example.com:443"' in lines and 'public-worker = "workers.example.com:443"' in lines, lines
    assert 'names = ["waybill.example.com","workers.example.com"]' in lines, lines


def main():
    checked = 0
    for values in (ONE, MANY):
        report = helm_python.lint(CHART, values, strict=True)
        worse = [message for message in report["messages"] if message["severity"] >= 2]
        assert not worse and not report["errors"], report
        with helm_python.Chart.load(CHART) as chart:
            for found in manifests(chart, values):
                for version in VERSIONS:
                    kubernetes_validate.validate(found, version, strict=True)
                if found["kind"] == "Deployment":
                    check_pods(found)
                if found["kind"] == "ConfigMap":
                    check_addresses(found)
                checked += 1
    for name, values in REFUSED.items():
        try:
            with helm_python.Chart.load(CHART) as chart:
                chart.validate_schema(values)
                list(manifests(chart, values))
        except helm_python.HelmError as refusal:
            if name in SAID and SAID[name] not in str(refusal):
                sys.exit(f"charts.py: {name} was refused, but for this: {refusal}")
            continue
        sys.exit(f"charts.py: {name} was not refused")
    print(f"{checked} manifests checked against Kubernetes {' and '.join(VERSIONS)}, {len(REFUSED)} values refused")


if __name__ == "__main__":
    main()
