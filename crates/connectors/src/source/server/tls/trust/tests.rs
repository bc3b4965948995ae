//! What is followed when, without a server: real handshakes after a rotation are the integration tests' affair.

use std::sync::Mutex as StdMutex;

use async_trait::async_trait;
use waybill_pipeline::{Credential, Fixed};

use super::*;

/// A text that whoever keeps it may exchange.
struct Kept(StdMutex<String>);

impl Kept {
    fn of(text: &str) -> Arc<Self> {
        Arc::new(Self(StdMutex::new(text.to_owned())))
    }

    fn now(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.lock().expect("a text").clone())
    }

    fn exchange(&self, text: &str) {
        text.clone_into(&mut self.0.lock().expect("a text"));
    }
}

#[async_trait]
impl Credential for Kept {
    async fn value(&self) -> FaultResult<Zeroizing<String>> {
        Ok(self.now())
    }

    async fn anew(&self, _: &str) -> FaultResult<Zeroizing<String>> {
        Ok(self.now())
    }
}

fn pair() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["db.example".to_owned()]).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn reference(name: &str) -> SecretRef {
    format!("env://{name}").parse().expect("a reference")
}

fn trust(ca: &Arc<Kept>, client: Option<(&Arc<Kept>, &Arc<Kept>)>) -> Trust {
    let way = |kept: &Arc<Kept>| Arc::clone(kept) as Arc<dyn Credential>;
    let ways = References {
        ca: Some(way(ca)),
        client_cert: client.map(|(certificate, _)| way(certificate)),
        client_key: client.map(|(_, key)| way(key)),
        ssh_key: None,
    };
    let (named, certificate, key) = (Ca::Reference(reference("CA")), reference("CERT"), reference("KEY"));
    let client = client.map_or((None, None), |_| (Some(&certificate), Some(&key)));
    let trust = Trust::of(TlsMode::VerifyFull, "db.example", Some(&named), client, &ways);
    trust.unwrap_or_else(|fault| panic!("{}", fault.text.for_customer())).expect("TLS")
}

fn failed() -> Fault {
    Fault::new(FailureCode::TlsFailed, "UnknownIssuer")
}

fn is_same(one: &Made, other: &Made) -> bool {
    one.from == other.from
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_is_exchanged_serves_the_next_handshake() {
    let (first, second) = (pair().0, pair().0);
    let ca = Kept::of(&first);
    let trust = trust(&ca, None);
    let made = trust.now().await.unwrap_or_else(|_| panic!("TLS"));
    assert!(is_same(&made, &trust.now().await.unwrap_or_else(|_| panic!("the same"))));
    let mut waits = Waits::default();
    let fault = trust.next(&made, failed(), &mut waits).await.err().expect("nothing new");
    assert_eq!(fault.text.for_customer(), "UnknownIssuer");
    ca.exchange(&second);
    let next = trust.next(&made, failed(), &mut waits).await.unwrap_or_else(|_| panic!("the new one"));
    assert!(!is_same(&made, &next) && is_same(&next, &trust.now().await.unwrap_or_else(|_| panic!("kept"))));
    // What has nothing to do with certificates is not answered by new ones.
    let other = Fault::new(FailureCode::SourceUnreachable, "gone");
    assert_eq!(
        trust.next(&made, other, &mut waits).await.err().expect("as it was").code,
        FailureCode::SourceUnreachable
    );
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_the_server_knows_first_is_waited_for_and_within_a_bound() {
    let ca = Kept::of(&pair().0);
    let trust = trust(&ca, None);
    let made = trust.now().await.unwrap_or_else(|_| panic!("TLS"));
    trust.worked();
    let begun = tokio::time::Instant::now();
    assert!(trust.next(&made, failed(), &mut Waits::default()).await.is_err());
    assert_eq!(begun.elapsed(), std::time::Duration::from_millis(15_500));
    let (later, kept) = (pair().0, Arc::clone(&ca));
    tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        kept.exchange(&later);
    });
    assert!(trust.next(&made, failed(), &mut Waits::default()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_certificate_whose_key_follows_a_moment_later_leaves_what_worked_in_place() {
    let (ca, (old, new)) = (Kept::of(&pair().0), (pair(), pair()));
    let (certificate, key) = (Kept::of(&old.0), Kept::of(&old.1));
    let trust = trust(&ca, Some((&certificate, &key)));
    let made = trust.now().await.unwrap_or_else(|_| panic!("TLS"));
    certificate.exchange(&new.0);
    let fault = trust.now().await.err().expect("they don't fit, and nothing has worked yet");
    assert_eq!(fault.code, FailureCode::SecretUnresolved);
    trust.worked();
    assert!(is_same(&made, &trust.now().await.unwrap_or_else(|_| panic!("the earlier one"))));
    key.exchange(&new.1);
    assert!(!is_same(&made, &trust.now().await.unwrap_or_else(|_| panic!("the new one"))));
}

#[test]
fn settings_that_contradict_each_other_are_refused_before_anything_is_looked_up() {
    let (certificate, key, ca) = (reference("CERT"), reference("KEY"), Ca::Reference(reference("CA")));
    let fixed = || Some(Arc::new(Fixed::new("x")) as Arc<dyn Credential>);
    let ways = References { ca: fixed(), client_cert: fixed(), client_key: fixed(), ssh_key: None };
    let of = |mode, ca, client, ways: &References| Trust::of(mode, "db.example", ca, client, ways);
    let both = (Some(&certificate), Some(&key));
    for (mode, client) in [
        (TlsMode::VerifyFull, (Some(&certificate), None)),
        (TlsMode::VerifyFull, (None, Some(&key))),
        (TlsMode::Disable, both),
    ] {
        let fault = of(mode, None, client, &ways).err().expect("refused");
        assert_eq!(fault.code, FailureCode::SpecRefused);
    }
    assert!(of(TlsMode::Disable, None, (None, None), &ways).is_ok_and(|none| none.is_none()));
    // Nobody looked them up: nothing is trusted, and nothing is proved, in their place.
    for (ca, client) in [(Some(&ca), (None, None)), (None, both)] {
        let fault = of(TlsMode::VerifyFull, ca, client, &References::default()).err().expect("refused");
        assert_eq!(fault.code, FailureCode::SecretUnresolved);
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_gone_while_another_takes_its_place_leaves_what_worked_in_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("ca.pem");
    std::fs::write(&path, pair().0).expect("written");
    let ca = Ca::Path(path.display().to_string());
    let trust = Trust::of(TlsMode::VerifyFull, "db.example", Some(&ca), (None, None), &References::default());
    let trust = trust.unwrap_or_else(|fault| panic!("{}", fault.text.for_customer())).expect("TLS");
    let made = trust.now().await.unwrap_or_else(|_| panic!("TLS"));
    std::fs::remove_file(&path).expect("removed");
    assert_eq!(trust.now().await.err().expect("nothing has worked yet").code, FailureCode::TlsFailed);
    trust.worked();
    assert!(is_same(&made, &trust.now().await.unwrap_or_else(|_| panic!("the earlier one"))));
    std::fs::write(&path, pair().0).expect("written");
    let next = trust.next(&made, failed(), &mut Waits::default()).await;
    assert!(!is_same(&made, &next.unwrap_or_else(|_| panic!("the new one"))));
}
