//! Regions of a project and of a data plane, as a program: set, shown, and what is refused with its next step.

use waybill_tests::sandbox::Sandbox;

use super::{Cli, logged_in, said};

fn allowed(cli: &Cli<'_>) -> Vec<String> {
    let shown = cli.json(0, &["project", "show", "default"]);
    serde_json::from_value(shown["allowed_regions"].clone()).expect("a list")
}

#[tokio::test(flavor = "multi_thread")]
async fn regions_of_a_project_are_set_shown_and_taken_away_and_what_is_refused_says_the_next_command() {
    let sandbox: Sandbox = logged_in().await;
    let cli = Cli { dir: sandbox.dir.path() };
    assert!(allowed(&cli).is_empty(), "any region, to begin with");
    let set = ["project", "set", "default", "--allow-region", "eu-west-1", "--allow-region", "eu-central-1"];
    cli.json(0, &set);
    assert_eq!(allowed(&cli), ["eu-central-1", "eu-west-1"]);
    assert_eq!(cli.refused(6, &["project", "set", "default", "--allow-region", "Frankfurt"]), "unusable");
    assert_eq!(cli.refused(4, &["project", "show", "elsewhere"]), "not_found");
    assert_eq!(allowed(&cli), ["eu-central-1", "eu-west-1"], "what is refused changes nothing");

    // A data plane of this host names no region: the refusal says which command names it.
    assert_eq!(cli.refused(6, &["apply"]), "region_not_allowed");
    let refused = said(&cli.with_input(&["apply"], ""));
    assert!(refused.contains("data-planes.local.region") && refused.contains("eu-central-1, eu-west-1"), "{refused}");
    assert!(refused.contains("waybill data-plane region local REGION"), "{refused}");
    assert_eq!(cli.refused(6, &["data-plane", "region", "local", "EU"]), "unusable");
    let plane = cli.json(0, &["data-plane", "region", "local", "us-east-1"]);
    assert_eq!(plane["settings"]["region"], "us-east-1");
    let refused = said(&cli.with_input(&["apply"], ""));
    let whole =
        "waybill project set default --allow-region eu-central-1 --allow-region eu-west-1 --allow-region us-east-1";
    assert!(refused.contains(whole), "the list is given whole, since it replaces the one of before: {refused}");
    cli.json(0, &["data-plane", "region", "local", "eu-west-1"]);
    cli.json(0, &["apply"]);

    cli.json(0, &["project", "set", "default", "--allow-any-region"]);
    assert!(allowed(&cli).is_empty());
    let listed = cli.json(0, &["project", "list"]);
    assert_eq!(listed["items"][0]["allowed_regions"], serde_json::json!([]));
}
