#!/usr/bin/env bash
# Scans the Terraform of grants and hosting, and the CloudFormation template that is made from the same policies, for misconfigurations;
# the plain policies stand in that template, and parliament lints each of them (grants::documents). What is left out is left out here, with its reason; anything else
# that is found, or a file that can't be read, fails.
set -euo pipefail
cd "$(dirname "$0")/../.."
checkov=$(dirname "$(deploy/dev/python.sh scan)")/checkov
left_out=(
  CKV2_AWS_34  # the guard is a policy, not a secret: its readers must be able to see it
  CKV2_AWS_5   # the workers' group is attached by RunTask, to tasks that do not exist yet
  CKV2_AWS_62  # events of the bucket are the customer's choice
  CKV_AWS_18   # so is access logging: CloudTrail data events show more
  CKV_AWS_144  # and copying to another region would break the promise that rows stay in theirs
  CKV_AWS_158  # a key for the flow log of an example, and for the template's log group: what a worker prints holds no row
  CKV_AWS_394  # the example takes the region's first two zones, whichever they are
  CKV_AWS_118  # enhanced monitoring needs a role of its own; Performance Insights is on
  CKV_AWS_161  # the orchestrator signs in with a password over verified TLS
  CKV_AWS_91   # the load balancers see TCP only; the orchestrator's audit says who came
  CKV_AWS_338  # what a worker prints is kept for 90 days unless said otherwise; the full log of a run is in the bucket
  CKV2_AWS_57  # the database's password is changed by counting a variable up
)
skip=$(IFS=,; echo "${left_out[*]}")
# scan PLACE FRAMEWORK LEAST: at least so many checks must have passed, or nothing was read.
scan() {
  local place=$1 report
  report=$(mktemp)
  "$checkov" -d "$place" --framework "$2" --skip-download --skip-path tests --skip-check "$skip" -o json > "$report" 2> "$report.log" || true
  python3 - "$place" "$report" "$3" <<'PYTHON'
import json, sys
place, path, least = sys.argv[1:]
report = json.load(open(path))
report = report[0] if isinstance(report, list) else report
summary, results = report["summary"], report["results"]
for failed in results["failed_checks"]:
    print(f"{place}: {failed['check_id']} {failed['check_name']}: {failed['resource']}", file=sys.stderr)
for unread in results["parsing_errors"]:
    print(f"{place}: {unread} could not be read", file=sys.stderr)
if summary["failed"] or summary["parsing_errors"] or summary["passed"] < int(least):
    sys.exit(1)
print(f"{place}: {summary['passed']} checks passed")
PYTHON
  rm -f "$report" "$report.log"
}
scan terraform/aws terraform 80
scan deploy/hosting/aws terraform 80
scan terraform/aws/generated cloudformation 20
