//! What a check says of the buckets that pipelines name: whether the role that starts tasks may look into them.

use anyhow::{Context, Result};
use waybill_api::data_plane::{DataPlaneCheck, PermissionRow};
use waybill_tests::aws::{Aws, Fault, REGION};

use super::planes::Story;

impl Story {
    /// Two pipelines on the data plane: from one bucket into another one.
    async fn lakes(&self) -> Result<()> {
        self.aws.put_bucket("example-in", REGION);
        self.aws.put_bucket("example-lake", REGION);
        let document = "
waybill: 1
connections:
  in: { type: files, url: \"s3://example-in/csv\", region: eu-central-1 }
  lake: { type: s3, bucket: example-lake, prefix: raw/shop }
  far: { type: s3, bucket: example-far, region: eu-west-1 }
  own: { type: s3, bucket: example-own, region: eu-central-1, endpoint: \"https://s3.example.com\" }
pipelines:
  items: { data-plane: cloud, from: in, to: lake, streams: { \"a.csv\": { load: full } } }
  again: { data-plane: cloud, from: in, to: lake, streams: { \"b.csv\": { load: full } } }
  other: { data-plane: cloud, from: in, to: far, streams: { \"c.csv\": { load: full } } }
  apart: { data-plane: cloud, from: in, to: own, streams: { \"d.csv\": { load: full } } }
";
        self.sandbox.apply(document).await
    }
}

/// The rows of one bucket: reading, then listing.
fn of<'a>(check: &'a DataPlaneCheck, bucket: &str) -> Vec<&'a PermissionRow> {
    check.rows.iter().filter(|row| row.resource.starts_with(&format!("arn:aws:s3:::{bucket}"))).collect()
}

fn words<'a>(rows: &[&'a PermissionRow]) -> Vec<&'a str> {
    rows.iter().map(|row| row.found.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn t02_the_check_finds_whether_the_launch_role_reads_or_lists_the_buckets_of_the_pipelines() -> Result<()> {
    let story = Story::start().await?;
    let plane = story.granted().await?;
    story.lakes().await?;
    story.aws.put_bucket("example-far", "eu-north-1");
    let check = story.check(&plane).await?;
    assert!(check.ready, "{check:#?}");
    for bucket in ["example-in", "example-lake"] {
        assert_eq!(words(&of(&check, bucket)), ["narrow", "narrow"], "each bucket once: {check:#?}");
    }
    let lake = of(&check, "example-lake");
    assert_eq!((lake[0].action.as_str(), lake[1].action.as_str()), ("s3:GetObject", "s3:ListBucket"));
    assert_eq!(lake[0].resource, "arn:aws:s3:::example-lake/raw/shop/*");
    let far = of(&check, "example-far");
    assert!(words(&far) == ["not_tested", "not_tested"] && far[0].detail.contains("another region"), "{far:?}");
    let own = of(&check, "example-own");
    assert!(words(&own) == ["not_tested"] && own[0].detail.contains("endpoint"), "{own:?}");
    let asked = story.aws.calls("GetObject");
    assert_eq!(asked.len(), 3, "one question for each bucket that is AWS's");
    assert!(asked.iter().all(|call| call.role == Some(Aws::launch_role())), "with the launch role");

    // With both grants there is no such object; with one alone S3 refuses, and names the other.
    for (extra, wanted) in [
        (vec!["GetObject", "ListBucket"], ["too_much", "too_much"]),
        (vec!["GetObject"], ["too_much", "narrow"]),
        (vec!["ListBucket"], ["narrow", "too_much"]),
    ] {
        story.aws.change_role(&Aws::launch_role(), |role| role.extra = extra.clone());
        let check = story.check(&plane).await?;
        let lake = of(&check, "example-lake");
        assert_eq!(words(&lake), wanted, "{extra:?}: {check:#?}");
        assert!(!check.ready, "{extra:?}");
        let wide = lake.iter().find(|row| row.found == "too_much").context("a row")?;
        let remove: serde_json::Value = serde_json::from_str(wide.remove.as_deref().context("what to remove")?)?;
        assert_eq!(
            (&remove["Action"], &remove["Resource"]),
            (&wide.action.as_str().into(), &wide.resource.as_str().into())
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn t02_what_s3_does_not_say_is_not_tested_and_says_why() -> Result<()> {
    let story = Story::start().await?;
    let plane = story.granted().await?;
    story.lakes().await?;
    // A refusal without a word proves no narrowness of reading, for there is no such object.
    story.aws.refuse_tersely();
    story.aws.change_role(&Aws::launch_role(), |role| role.extra = vec!["GetObject"]);
    let check = story.check(&plane).await?;
    let lake = of(&check, "example-lake");
    assert_eq!(words(&lake), ["not_tested", "narrow"], "{lake:?}");
    assert!(lake[0].detail.contains("without a word"), "{lake:?}");
    let missing = of(&check, "example-far");
    assert!(missing[0].found == "not_tested" && missing[0].detail.contains("no such bucket"), "{missing:?}");

    story.aws.fault("GetObject", Fault::ServerError, 100);
    story.aws.fault("ListObjects", Fault::BrokenBefore, 100);
    let check = story.check(&plane).await?;
    assert!(story.aws.fired("GetObject") > 0 && story.aws.fired("ListObjects") > 0, "the faults fired");
    let lake = of(&check, "example-lake");
    assert_eq!(words(&lake), ["not_tested", "not_tested"], "{lake:?}");
    assert!(lake.iter().all(|row| row.detail.contains("check again")), "{lake:?}");
    Ok(())
}
