//! What CloudTrail delivers is read; what somebody else put in its place is refused by file and record.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::*;

const LAUNCH: &str = "arn:aws:iam::222222222222:role/waybill/waybill-launch";

fn roles() -> HashSet<Role> {
    HashSet::from([Role::of(LAUNCH).expect("a role")])
}

fn run_task(request: &str) -> Value {
    json!({
        "eventVersion": "1.11", "eventTime": "2026-11-21T02:00:04Z", "eventSource": "ecs.amazonaws.com",
        "eventName": "RunTask", "awsRegion": "eu-central-1", "sourceIPAddress": "203.0.113.10",
        "userIdentity": {
            "type": "AssumedRole", "accountId": "222222222222",
            "arn": "arn:aws:sts::222222222222:assumed-role/waybill-launch/att_01jd8m2v5k0000000000000001",
            "sessionContext": { "sessionIssuer": { "type": "Role", "arn": LAUNCH, "userName": "waybill-launch" } },
        },
        "requestParameters": { "cluster": "waybill" }, "requestID": request, "eventID": format!("event of {request}"),
    })
}

fn assume_role() -> Value {
    json!({
        "eventTime": "2026-11-21T02:00:03Z", "eventSource": "sts.amazonaws.com", "eventName": "AssumeRole",
        "userIdentity": { "type": "AWSAccount", "principalId": "AIDA", "accountId": "111111111111" },
        "requestParameters": { "roleArn": LAUNCH, "roleSessionName": "att_01jd8m2v5k0000000000000001" },
        "requestID": "r-assume", "eventID": "e-assume",
    })
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(text.as_bytes()).expect("packed");
    packed.finish().expect("packed")
}

/// What reading one file of these bytes gives.
fn read(name: &str, bytes: &[u8]) -> Result<Export> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(name);
    std::fs::write(&path, bytes).expect("a file");
    Export::read(&[path], &roles())
}

#[track_caller]
fn refused(bytes: &[u8]) -> String {
    let failure = read("hostile.json", bytes).expect_err("refused");
    assert_eq!((failure.exit, failure.code.as_str()), (Exit::Invalid, "cloudtrail_file_invalid"));
    assert!(failure.next.is_some() && failure.message.contains("hostile.json: "), "{}", failure.message);
    failure.message.split_once("hostile.json: ").expect("the file is named").1.to_owned()
}

#[test]
fn a_role_is_the_same_whatever_names_it() {
    let session = "arn:aws:sts::222222222222:assumed-role/waybill-launch/waybill-look";
    assert_eq!(Role::of(LAUNCH), Role::of(session));
    assert_eq!(Role::of(LAUNCH), Role::of("arn:aws:iam::222222222222:role/waybill-launch"));
    assert_ne!(Role::of(LAUNCH), Role::of("arn:aws:iam::333333333333:role/waybill-launch"));
    for none in ["", "arn:aws:iam::222222222222:user/ada", "arn:aws:iam::222222222222:root", "waybill-launch"] {
        assert_eq!(Role::of(none), None, "{none}");
    }
}

#[test]
fn calls_by_a_role_and_calls_for_it_are_read_packed_or_not_and_each_once() {
    let mut other = run_task("r-other");
    other["userIdentity"] =
        json!({ "type": "Root", "accountId": "222222222222", "arn": "arn:aws:iam::222222222222:root" });
    let mut strange = run_task("r-strange");
    (strange["userIdentity"], strange["requestParameters"]) = (Value::Null, json!([1, 2]));
    let records = [run_task("r-1"), assume_role(), other, strange, run_task("r-1")];
    let text = json!({ "Records": records }).to_string();
    for bytes in [text.clone().into_bytes(), gzip(&text), [gzip(&text[..40]), gzip(&text[40..])].concat()] {
        let export = read("log.json", &bytes).expect("read");
        assert_eq!((export.records, export.events.len()), (5, 2));
        let [run, assume] = &export.events[..] else { unreachable!("two") };
        assert_eq!((run.action.as_str(), run.place, run.request_id.as_deref()), ("ecs:RunTask", (0, 1), Some("r-1")));
        assert_eq!((assume.action.as_str(), assume.place), ("sts:AssumeRole", (0, 2)));
        assert_eq!(run.session, assume.session);
        let (first, last) = export.span.expect("a span");
        assert_eq!(last.since(first), std::time::Duration::from_secs(1));
    }
}

#[test]
fn whoever_holds_a_role_and_asks_for_another_one_is_kept_as_its_holder() {
    let mut further = run_task("r-further");
    (further["eventSource"], further["eventName"]) = ("sts.amazonaws.com".into(), "AssumeRole".into());
    let other = "arn:aws:iam::222222222222:role/administrator";
    further["requestParameters"] = json!({ "roleArn": other, "roleSessionName": "anything" });
    let mut elsewhere = assume_role();
    elsewhere["requestParameters"]["roleArn"] = other.into();
    let text = json!({ "Records": [further, elsewhere] }).to_string();
    let export = read("log.json", text.as_bytes()).expect("read");
    assert_eq!(export.events.len(), 1, "a role that nobody looks for is not looked at");
    let event = &export.events[0];
    assert_eq!((event.action.as_str(), event.session.as_str()), ("sts:AssumeRole", "att_01jd8m2v5k0000000000000001"));
}

#[test]
fn a_directory_gives_its_log_files_in_order_and_no_digests() {
    let directory = tempfile::tempdir().expect("a directory");
    let deep = directory.path().join("AWSLogs/222222222222/CloudTrail/eu-central-1/2026/11/21");
    std::fs::create_dir_all(&deep).expect("directories");
    let text = |request: &str| json!({ "Records": [run_task(request)] }).to_string();
    std::fs::write(deep.join("b.json.gz"), gzip(&text("r-b"))).expect("a file");
    std::fs::write(deep.join("a.json"), text("r-a")).expect("a file");
    std::fs::write(deep.join("222222222222_CloudTrail-Digest_x.json.gz"), "no log").expect("a file");
    std::fs::write(deep.join("222222222222_CloudTrail-Insight_x.json.gz"), "no log").expect("a file");
    std::fs::write(deep.join("README.txt"), "no log").expect("a file");
    std::os::unix::fs::symlink(directory.path(), deep.join("round.json")).expect("a link");
    let export = Export::read(&[directory.path().to_owned()], &roles()).expect("read");
    let seen: Vec<_> = export.events.iter().filter_map(|event| event.request_id.as_deref()).collect();
    assert_eq!((seen, export.files.len()), (vec!["r-a", "r-b"], 2));
    let empty = tempfile::tempdir().expect("a directory");
    let failure = Export::read(&[empty.path().to_owned()], &roles()).expect_err("nothing there");
    assert_eq!(failure.code, "no_records");
    let failure = Export::read(&[empty.path().join("gone.json")], &roles()).expect_err("nothing there");
    assert!(failure.code == "file_unreadable" && failure.message.contains("gone.json"), "{}", failure.message);
}

#[test]
fn h29_what_is_no_log_file_is_refused_by_file_and_record() {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut second = run_task("r-2");
        change(&mut second);
        json!({ "Records": [run_task("r-1"), second] }).to_string().into_bytes()
    };
    for (bytes, says) in [
        (b"".to_vec(), "EOF"),
        (b"not JSON".to_vec(), "expected"),
        (b"[]".to_vec(), "an object with a list `Records`"),
        (b"{}".to_vec(), "no list `Records`"),
        (b"{\"Records\":{}}".to_vec(), "a list of records"),
        (b"{\"Records\":[]} more".to_vec(), "trailing"),
        (b"{\"Events\":[]}".to_vec(), "lookup-events"),
        (b"{\"Records\":[".to_vec(), "record 1: EOF"),
        (b"{\"Records\":[\xff]}".to_vec(), "record 1: "),
        (b"{\"Records\":[1]}".to_vec(), "record 1: it is no object"),
        (with(&|it| it["eventTime"] = "yesterday".into()), "record 2: `eventTime`"),
        (with(&|it| it["eventTime"] = json!(7)), "record 2: `eventTime`"),
        (with(&|it| it["eventName"] = Value::Null), "record 2: `eventName`"),
        (with(&|it| it["eventSource"] = json!(["x"])), "record 2: `eventSource`"),
        (gzip("{\"Records\":[]}")[..12].to_vec(), "cut short"),
        (b"\x1f\x8bnot packed at all".to_vec(), "not packed by gzip"),
    ] {
        let said = refused(&bytes);
        assert!(said.contains(says), "{says}: {said}");
    }
    let nested = format!("{{\"Records\":[{}{}]}}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(refused(nested.as_bytes()).contains("record 1: it can't be read: recursion limit"));
    let long = format!("{{\"Records\":[{{\"eventName\":\"{}\"}}]}}", "x".repeat(MOST_RECORD));
    assert!(refused(long.as_bytes()).contains("record 1: it is larger than 1 MiB"));
}

/// A megabyte that unpacks to a gigabyte: blanks between records, which cost nothing to hold, or one text.
#[test]
fn h29_a_file_that_unpacks_without_end_is_refused_at_its_bound() {
    let directory = tempfile::tempdir().expect("a directory");
    for (begin, fill) in [("{\"Records\":[", " "), ("{\"Records\":[\"", "x"), ("{\"other\":\"", "x")] {
        let mut bomb = gzip(begin);
        let filling = gzip(&fill.repeat(1 << 20));
        (0..1_000).for_each(|_| bomb.extend_from_slice(&filling));
        assert!(bomb.len() < 4 << 20, "{}", bomb.len());
        let path = directory.path().join("bomb.json.gz");
        std::fs::write(&path, bomb).expect("a file");
        let failure = Export::within(&[path], &roles(), 2 << 20).expect_err("refused");
        assert!(failure.message.contains("bomb.json.gz: ") && failure.message.contains("larger than 2 MiB, unpacked"));
    }
}
