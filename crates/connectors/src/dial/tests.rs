//! The dialer against every spelling that is known, and against name servers that lie.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;

/// Answers each look-up with the next of its answers, and with the last one ever after.
struct Script {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl Script {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let read = |answer: &&[&str]| answer.iter().map(|text| text.parse().expect("an address")).collect();
        Arc::new(Self { answers: answers.iter().map(read).collect(), asked: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl Resolve for Script {
    async fn resolve(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(self.answers[turn.min(self.answers.len() - 1)].clone())
    }
}

fn cloud() -> Rules {
    Rules::default()
}

/// Spellings that lead to where nothing may be dialed, each with the class that must be named.
const SPELLINGS: &str = include_str!("spellings.txt");

#[tokio::test]
async fn t10_no_spelling_leads_to_metadata_loopback_or_link_local() {
    assert!(SPELLINGS.lines().count() >= 40);
    let resolver = Script::new(&[&["10.0.0.5"]]);
    let dialer = Dialer::with(cloud(), Arc::clone(&resolver) as Arc<dyn Resolve>);
    for (host, class) in SPELLINGS.lines().filter_map(|line| line.split_once(' ')) {
        let error = dialer.addresses(host, 80).await.expect_err(host);
        assert!(error.is_denied() && error.to_string().contains(class), "{host}: {error}");
        assert_eq!(Fault::from(error).code, FailureCode::EgressDenied, "{host}");
    }
    assert_eq!(resolver.asked.load(Ordering::SeqCst), 0, "none of them was ever looked up");
}

#[tokio::test]
async fn h14_look_alikes_sockets_and_lists_are_no_hosts() {
    let dialer = Dialer::new(cloud());
    for host in [
        "１６９.２５４.１６９.２５４",
        "169。254。169。254",
        "ⓛocalhost",
        "l\u{43e}calhost",
        "localhost\u{200b}",
        "/var/run/docker.sock",
        "@abstract",
        "unix:/run/x",
        "fe80::1%eth0",
        "a,169.254.169.254",
        "user@169.254.169.254",
        "169.254.169.254/latest",
        "169.254.169.254:80",
        "",
    ] {
        let error = dialer.addresses(host, 80).await.expect_err(host);
        assert!(matches!(error, DialError::Host { .. }), "{host}: {error}");
    }
}

#[tokio::test]
async fn h15_one_bad_answer_refuses_all_and_aliases_end_at_their_address() {
    for answers in [
        &["10.0.0.5", "169.254.169.254"][..],
        &["169.254.169.254", "10.0.0.5"],
        &["2a00::1", "::ffff:127.0.0.1"],
        &["fd00:ec2::254"],
        &["64:ff9b::a9fe:aa02"],
    ] {
        let dialer = Dialer::with(cloud(), Script::new(&[answers]));
        let error = dialer.addresses("db.example", 5432).await.expect_err("refused");
        assert!(matches!(error, DialError::Denied { .. }), "{answers:?}: {error}");
    }
}

#[tokio::test]
async fn h15_what_was_checked_is_dialed_and_a_later_answer_changes_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let port = listener.local_addr().expect("its address").port();
    let resolver = Script::new(&[&["127.0.0.1"], &["169.254.169.254"]]);
    let dialer = Dialer::with(Rules::local(), Arc::clone(&resolver) as Arc<dyn Resolve>);
    let checked = dialer.addresses("rebinds.example", port).await.expect("the first answer is allowed");
    let (dialed, taken) = tokio::join!(dialer.connect(checked[0]), listener.accept());
    assert!(dialed.is_ok() && taken.is_ok());
    assert_eq!(resolver.asked.load(Ordering::SeqCst), 1, "dialing asks nobody again");
    let error = dialer.addresses("rebinds.example", port).await.expect_err("the second answer is not");
    assert!(matches!(error, DialError::Denied { .. }));
}

#[tokio::test]
async fn localhost_is_dialed_on_a_laptop_only() {
    for name in ["localhost", "LOCALHOST.", "127.0.0.1"] {
        assert!(Dialer::new(cloud()).addresses(name, 1).await.expect_err(name).is_denied());
        assert!(Dialer::new(Rules::local()).addresses(name, 1).await.is_ok(), "{name}");
    }
    let metadata = Dialer::new(Rules::local()).addresses("169.254.169.254", 80).await;
    assert!(metadata.is_err_and(|error| error.is_denied()), "a laptop in a cloud has neighbours too");
}

#[test]
fn a_guard_names_single_special_addresses_and_bounds_the_ordinary_ones() {
    let range = |text: &str| text.parse::<waybill_model::net::Range>().expect("a range");
    let rules = Rules { special: vec![range("127.0.0.1")], egress: Some(vec![range("10.0.0.0/8")]), loopback: false };
    let check = |text: &str| rules.check(text.parse().expect("an address")).is_ok();
    assert!(check("127.0.0.1") && check("10.1.2.3") && check("::ffff:10.1.2.3"));
    assert!(!check("127.0.0.2") && !check("11.0.0.1") && !check("2a00::1") && !check("169.254.169.254"));
}

#[tokio::test]
async fn rules_that_follow_count_for_every_clone_and_tell_what_is_in_use_against_them() {
    let range = |text: &str| text.parse::<waybill_model::net::Range>().expect("a range");
    let only = |text: &str| Rules { egress: Some(vec![range(text)]), ..Rules::default() };
    let answers = [&["10.1.0.5"][..], &["10.2.0.5"], &["192.0.2.9"]];
    let dialer = Dialer::with(only("10.0.0.0/8"), Script::new(&answers));
    let in_use = dialer.clone();
    assert!(in_use.addresses("db.example", 5432).await.is_ok());
    assert!(dialer.follow(only("10.1.0.0/16")).is_ok(), "what is in use still lies within");
    assert!(in_use.addresses("db.example", 5432).await.is_err_and(|error| error.is_denied()), "the clone follows");
    assert!(in_use.addresses("db.example", 5432).await.is_err_and(|error| error.is_denied()));
    assert!(dialer.follow(only("10.1.0.0/16")).is_ok(), "what was denied was never in use");
    let refused = dialer.follow(only("10.2.0.0/16")).expect_err("10.1.0.5 is in use");
    assert!(refused.is_denied() && refused.to_string().contains("10.1.0.5"), "{refused}");
    assert!(in_use.check("10.2.0.7").is_ok());
    assert!(dialer.follow(only("192.0.2.0/24")).is_err(), "an address that was asked for as such is in use too");
}

#[tokio::test]
async fn a_name_without_addresses_is_unknown_and_not_denied() {
    let dialer = Dialer::with(cloud(), Script::new(&[&[]]));
    let error = dialer.addresses("nowhere.example", 1).await.expect_err("unknown");
    assert!(!error.is_denied());
    assert_eq!(Fault::from(error).code, FailureCode::SourceUnreachable);
}
