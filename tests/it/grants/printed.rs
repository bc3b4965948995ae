//! The policies that the orchestrator prints, against what Terraform itself makes of the same templates.

use serde_json::{Value, json};
use waybill_launcher::ecs::{EcsPlace, Principal, policy};
use waybill_tests::grants::{ACCOUNT, EXTERNAL_ID, Rendered, render, values};

/// The settings that a customer gives after applying these documents.
fn settings(rendered: &Rendered, (partition, region): (&str, &str)) -> String {
    let role = |name: &str| format!("arn:{partition}:iam::{ACCOUNT}:role/{}", rendered.names[name]);
    json!({
        "role_arn": role("launch_role"), "task_role_arn": role("task_role"), "region": region,
        "cluster": rendered.names["cluster"], "task_family": rendered.names["family"],
        "other_task_family": Some(&rendered.names["other_family"]).filter(|name| !name.is_empty()),
        "subnets": ["subnet-0a1b2c3d4e5f60718"], "security_groups": ["sg-0a1b2c3d4e5f60718"],
    })
    .to_string()
}

#[test]
fn what_is_printed_is_letter_for_letter_what_terraform_applies_in_every_partition() {
    for (partition, region, name, other_architecture) in [
        ("aws", "eu-west-1", "waybill", ""),
        ("aws", "eu-west-1", "waybill", "ARM64"),
        ("aws-us-gov", "us-gov-west-1", "elt-2", "X86_64"),
        ("aws-cn", "cn-north-1", "waybill", ""),
    ] {
        let principal = format!("arn:{partition}:iam::111111111111:role/teams/waybill");
        let mut values = values();
        (values["partition"], values["region"], values["name"]) = (partition.into(), region.into(), name.into());
        values["other_architecture"] = other_architecture.into();
        values["orchestrator_principal_arn"] = principal.clone().into();
        let rendered = render(&values).expect("rendered documents");
        let place = EcsPlace::read(&settings(&rendered, (partition, region)), EXTERNAL_ID).expect("a place");
        let principal: Principal = principal.parse().expect("a principal");

        let trust = policy::trust(&principal, place.external_id()).expect("printed");
        assert_eq!(trust, rendered.texts["launch_trust"], "{partition}");
        let role = policy::execution_role(&place, &rendered.names["execution_role"]).expect("a role");
        let launch = policy::launch(&place, &role).expect("printed");
        assert_eq!(launch, rendered.texts["launch"], "{partition}");
        assert_eq!(launch.contains(&format!("/{name}-worker-")), !other_architecture.is_empty(), "{launch}");
        // And the comparison is awake: another name of the place changes the text.
        assert!(launch.contains(&format!(":{region}:{ACCOUNT}:cluster/{name}\"")), "{launch}");
        assert!(serde_json::from_str::<Value>(&launch).is_ok_and(|document| document == rendered.documents["launch"]));
    }
}
