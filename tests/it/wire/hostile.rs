//! What a compromised worker or a stranger sends (T3, T5, T7, H35, H37): a status, a quota or a closed stream, and never a
//! word about what is not its own.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame};
use tonic::Code;
use tower::ServiceExt as _;
use waybill_identity::{Peer, WorkerKey, WorkerRequest};
use waybill_model::{AttemptId, Micros, OrgId};
use waybill_orchestrator::grpc::Quota;
use waybill_protocol::Version;
use waybill_protocol::pb::enrolment::HelloRequest;
use waybill_protocol::pb::worker as pb;
use waybill_protocol::worker::MAX_EVENTS;

use super::rig::{Identity, Made, Options, Rig, Worker, enrol_request, eventually, stream_of, visible};

/// A certificate of our own authority for any identity: what a worker of that identity would hold.
pub(super) fn identity_of(rig: &Rig, peer: &Peer) -> Identity {
    let key = WorkerKey::generate().expect("a key");
    let request = WorkerRequest::read(&key.request().expect("a request")).expect("accepted");
    let leaf = rig.authority.issue_worker(peer, &request, Micros::now()).expect("issued");
    Identity { chain: leaf.chain, roots: vec![rig.authority.root().to_vec()], key }
}

fn report(made: &Made, seq: u64) -> pb::ReportRequest {
    pb::ReportRequest { seq, epoch: made.epoch.0, progress: Vec::new(), events: Vec::new() }
}

fn event(code: &str) -> pb::Event {
    pb::Event { at_us: 1, code: code.into(), ..pb::Event::default() }
}

fn completion(made: &Made) -> pb::CompleteRequest {
    pb::CompleteRequest { epoch: made.epoch.0, outcome: pb::Outcome::Failed.into(), ..pb::CompleteRequest::default() }
}

/// The calls of the worker service.
#[derive(Clone, Copy, Debug)]
pub(super) enum Call {
    Assignment,
    Report,
    PrepareCommit,
    Complete,
    Renew,
}

impl Call {
    pub(super) const ALL: [Self; 5] =
        [Self::Assignment, Self::Report, Self::PrepareCommit, Self::Complete, Self::Renew];

    /// Its refusal, as a peer sees it.
    pub(super) async fn refused(self, client: &mut Worker, made: &Made) -> String {
        match self {
            Self::Assignment => visible(client.get_assignment(pb::GetAssignmentRequest {}).await),
            Self::Report => visible(client.report(stream_of(vec![report(made, 1)])).await),
            Self::PrepareCommit => {
                let prepare = pb::PrepareCommitRequest { epoch: made.epoch.0, stream: 0, digest: vec![1; 32] };
                visible(client.prepare_commit(prepare).await)
            }
            Self::Complete => visible(client.complete(completion(made)).await),
            Self::Renew => {
                let csr = WorkerKey::generate().expect("a key").request().expect("a request");
                visible(client.renew(pb::RenewRequest { csr }).await)
            }
        }
    }
}

/// The refusals of every call, in order.
async fn every_call(rig: &Rig, made: &Made, identity: &Identity) -> Vec<String> {
    let mut client = rig.worker(identity);
    let mut answers = Vec::new();
    for call in Call::ALL {
        answers.push(call.refused(&mut client, made).await);
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn t03_every_call_with_a_foreign_or_unknown_identity_is_answered_in_the_same_bytes() {
    let rig = Rig::start().await;
    let (mine, theirs) = (rig.attempt().await, rig.attempt().await);
    rig.enrol(&theirs).await;
    let foreign = identity_of(&rig, &Peer { org: mine.org, attempt: theirs.attempt });
    let unknown = identity_of(&rig, &Peer { org: mine.org, attempt: AttemptId::generate() });
    let nowhere = identity_of(&rig, &Peer { org: OrgId::generate(), attempt: AttemptId::generate() });
    let first = every_call(&rig, &theirs, &foreign).await;
    assert!(first.iter().all(|answer| answer.starts_with("NotFound")), "{first:?}");
    assert!(first.iter().all(|answer| *answer == first[0]), "{first:?}");
    assert_eq!(first, every_call(&rig, &theirs, &unknown).await);
    assert_eq!(first, every_call(&rig, &theirs, &nowhere).await);
    assert!(rig.row(&theirs).await.failure.is_none(), "a foreign completion moved nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn t03_a_hello_tells_an_unknown_attempt_from_an_ended_one_by_nothing() {
    let rig = Rig::start().await;
    let made = rig.attempt().await;
    assert!(rig.hello(made.attempt).await.is_ok());
    rig.fence(&made).await;
    let ended = visible(rig.hello(made.attempt).await);
    assert_eq!(ended, visible(rig.hello(AttemptId::generate()).await));
    assert!(ended.contains("fenced"), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t05_a_ticket_replayed_with_another_key_is_refused_and_the_attempt_fenced() {
    let rig = Rig::start().await;
    let made = rig.attempt().await;
    let first = rig.enrol(&made).await;
    let refused = rig.enrol_with(&made, &WorkerKey::generate().expect("a key")).await;
    assert_eq!(refused.expect_err("refused").code(), Code::PermissionDenied);
    assert!(rig.row(&made).await.fenced_at.is_some(), "whoever came first may be the thief");
    let status = rig.worker(&first).get_assignment(pb::GetAssignmentRequest {}).await.expect_err("refused");
    assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "fenced"));
}

#[tokio::test(flavor = "multi_thread")]
async fn t05_the_same_key_within_a_minute_gets_the_same_certificate() {
    let rig = Rig::start().await;
    let made = rig.attempt().await;
    let key = WorkerKey::generate().expect("a key");
    let first = rig.enrol_with(&made, &key).await.expect("enrolled");
    let again = rig.enrol_with(&made, &key).await.expect("answered again");
    assert_eq!(first.certificate_chain, again.certificate_chain);
}

#[tokio::test(flavor = "multi_thread")]
async fn t05_a_captured_enrolment_resent_as_it_was_is_refused() {
    let rig = Rig::start().await;
    let made = rig.attempt().await;
    let key = WorkerKey::generate().expect("a key");
    let nonce = rig.hello(made.attempt).await.expect("a nonce");
    let captured = enrol_request(&made, &key, &nonce);
    rig.enrolment().enrol(captured.clone()).await.expect("enrolled");
    let status = rig.enrolment().enrol(captured).await.expect_err("the nonce is spent");
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "enrolment_refused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn t05_a_proof_for_another_nonce_key_or_ticket_is_refused_in_one_answer() {
    let rig = Rig::start().await;
    let (made, other) = (rig.attempt().await, rig.attempt().await);
    let key = WorkerKey::generate().expect("a key");
    let nonce = rig.hello(made.attempt).await.expect("a nonce");
    let good = enrol_request(&made, &key, &nonce);
    let mut answers = Vec::new();
    let mut forged = good.clone();
    forged.ticket[20] ^= 1;
    let stolen_proof = enrol_request(&made, &WorkerKey::generate().expect("a key"), &nonce).attestation;
    let made_up = [7; 32];
    for bad in [
        forged,
        enrol_request(&other, &key, &made_up),
        waybill_protocol::pb::enrolment::EnrolRequest { attestation: stolen_proof, ..good.clone() },
        waybill_protocol::pb::enrolment::EnrolRequest { attestation: Vec::new(), ..good.clone() },
    ] {
        answers.push(visible(rig.enrolment().enrol(bad).await));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    rig.enrolment().enrol(good).await.expect("none of them spent nonce or ticket");
}

#[tokio::test(flavor = "multi_thread")]
async fn h35_a_hostile_certificate_request_is_refused_over_the_wire_and_spends_no_ticket() {
    let rig = Rig::start().await;
    let made = rig.attempt().await;
    let key = WorkerKey::generate().expect("a key");
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = params.serialize_request(&rcgen::KeyPair::generate().expect("a key")).expect("a request");
    for csr in [ca.der().to_vec(), vec![0x30; 4096], vec![0; 5000], vec![0; 1 << 20]] {
        let nonce = rig.hello(made.attempt).await.expect("a nonce");
        let mut request = enrol_request(&made, &key, &nonce);
        request.csr = csr;
        let status = rig.enrolment().enrol(request).await.expect_err("refused");
        assert!(matches!(status.code(), Code::InvalidArgument | Code::OutOfRange), "{status:?}");
    }
    rig.enrol(&made).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f53_a_worker_two_minor_versions_away_is_told_to_upgrade() {
    let mut version = Version::current();
    version.minor += 2;
    let rig = Rig::start_with(Options { version, ..Options::default() }).await;
    let made = rig.attempt().await;
    let status = rig.hello(made.attempt).await.expect_err("refused");
    assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "upgrade_required"));
    let nothing = HelloRequest { attempt_id: made.attempt.to_string(), version: None };
    assert_eq!(rig.enrolment().hello(nothing).await.expect_err("refused").code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn h37_a_message_of_a_hundred_mebibytes_is_refused_and_others_go_on() {
    let rig = Rig::start().await;
    let made = rig.attempt().await;
    let identity = rig.enrol(&made).await;
    let mut client = rig.worker(&identity);
    let huge = pb::RenewRequest { csr: vec![7; 100 << 20] };
    let status = client.renew(huge).await.expect_err("refused");
    assert!(matches!(status.code(), Code::OutOfRange | Code::Unavailable | Code::Cancelled), "{status:?}");
    rig.worker(&identity).get_assignment(pb::GetAssignmentRequest {}).await.expect("others go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn h37_a_wrong_epoch_is_fenced_and_a_stream_that_is_not_of_the_run_refused() {
    let rig = Rig::start().await;
    let made = rig.attempt().await;
    let mut client = rig.worker(&rig.enrol(&made).await);
    let mut prepare = pb::PrepareCommitRequest { epoch: made.epoch.0 + 1, stream: 0, digest: vec![1; 32] };
    let answer = client.prepare_commit(prepare.clone()).await.expect("answered").into_inner();
    assert!(!answer.granted);
    assert_eq!(answer.directive(), pb::Directive::Fenced);
    prepare.epoch = -1;
    assert_eq!(client.prepare_commit(prepare.clone()).await.expect_err("refused").code(), Code::InvalidArgument);
    prepare.epoch = made.epoch.0;
    prepare.stream = 99;
    assert_eq!(client.prepare_commit(prepare).await.expect_err("refused").code(), Code::InvalidArgument);
    let mut wrong = report(&made, 1);
    wrong.epoch += 1;
    let mut answers = client.report(stream_of(vec![wrong])).await.expect("opened").into_inner();
    let answer = answers.message().await.expect("answered").expect("a directive");
    assert_eq!(answer.directive(), pb::Directive::Fenced);
    assert!(answers.message().await.expect("ended in order").is_none());
}

/// The status that ends a stream of these reports.
async fn end_of(rig: &Rig, identity: &Identity, reports: Vec<pb::ReportRequest>) -> tonic::Status {
    let mut answers = rig.worker(identity).report(stream_of(reports)).await.expect("opened").into_inner();
    loop {
        match answers.next().await.expect("a status, not an end in order") {
            Ok(_) => {}
            Err(status) => return status,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h37_gaps_negative_counts_and_unknown_codes_close_the_stream_by_name() {
    let rig = Rig::start().await;
    let made = rig.attempt().await;
    let identity = rig.enrol(&made).await;
    let gap = end_of(&rig, &identity, vec![report(&made, 1), report(&made, 3)]).await;
    assert_eq!((gap.code(), gap.message()), (Code::InvalidArgument, "seq: is out of range"));
    let mut negative = report(&made, 2);
    let state = pb::StreamState::Reading.into();
    negative.progress = vec![pb::StreamProgress { rows: -1_i64 as u64, state, ..pb::StreamProgress::default() }];
    let status = end_of(&rig, &identity, vec![negative]).await;
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "progress[0].rows: is out of range"));
    let mut text = report(&made, 2);
    text.events = vec![event("alice@example.com")];
    let status = end_of(&rig, &identity, vec![text]).await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(!status.message().contains("alice"), "the value is not repeated");
    let mut many = report(&made, 2);
    many.events = vec![event("part_uploaded"); MAX_EVENTS + 1];
    assert_eq!(end_of(&rig, &identity, vec![many]).await.code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn h37_a_flood_of_events_or_calls_meets_its_quota_and_other_attempts_do_not() {
    let quota = Quota { messages: 2, events: 10 };
    let rig = Rig::start_with(Options { quota, ..Options::default() }).await;
    let (made, other) = (rig.attempt().await, rig.attempt().await);
    let (identity, calm) = (rig.enrol(&made).await, rig.enrol(&other).await);
    let mut loud = report(&made, 1);
    loud.events = vec![event("part_uploaded"); 101];
    assert_eq!(end_of(&rig, &identity, vec![loud]).await.code(), Code::ResourceExhausted);
    let flood = (1..=200).map(|seq| report(&made, seq)).collect();
    assert_eq!(end_of(&rig, &identity, flood).await.code(), Code::ResourceExhausted);
    let status = rig.worker(&identity).get_assignment(pb::GetAssignmentRequest {}).await.expect_err("refused");
    assert_eq!(status.code(), Code::ResourceExhausted);
    rig.worker(&calm).get_assignment(pb::GetAssignmentRequest {}).await.expect("another attempt has its own");
}

/// A body of empty frames without end.
struct Empty(usize);

impl Body for Empty {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0 += 1;
        if self.0 > 100_000 {
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(Frame::data(Bytes::new()))))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h37_a_flood_of_empty_frames_ends_its_call_and_not_the_listener() {
    let rig = Rig::start().await;
    let made = rig.attempt().await;
    let identity = rig.enrol(&made).await;
    let request = http::Request::post("http://localhost/waybill.worker.v1.Worker/Renew")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(tonic::body::Body::new(Empty(0)))
        .expect("a request");
    let answer = rig.worker_channel(&identity).oneshot(request);
    let answer = tokio::time::timeout(Duration::from_secs(20), answer).await.expect("it ends by itself");
    if let Ok(response) = answer {
        let first = response.headers().get("grpc-status").cloned();
        // A call that was taken says at its end how it went; one whose stream was reset has no end.
        let end = match response.into_body().collect().await {
            Ok(body) => first.or_else(|| body.trailers().and_then(|trailers| trailers.get("grpc-status").cloned())),
            Err(_) => None,
        };
        assert!(end.as_ref().is_none_or(|status| status.as_bytes() != b"0"), "the flood was answered: {end:?}");
    }
    rig.worker(&identity).get_assignment(pb::GetAssignmentRequest {}).await.expect("others go on");
}

/// A report as it stands in a frame.
fn framed(report: &pb::ReportRequest) -> Bytes {
    let message = prost::Message::encode_to_vec(report);
    let length = u32::try_from(message.len()).expect("short").to_be_bytes();
    Bytes::from([&[0][..], &length, &message].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn h37_a_worker_that_sends_and_never_reads_is_hung_up_on() {
    let options = Options { read_time: Duration::from_millis(300), ..Options::default() };
    let rig = Rig::start_with(options).await;
    let (made, other) = (rig.attempt().await, rig.attempt().await);
    let (identity, calm) = (rig.enrol(&made).await, rig.enrol(&other).await);
    // A window of nothing: whatever is answered waits at the other end.
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(0);
    let stream = rig.worker_stream(&identity).await;
    let (mut client, connection) = builder.handshake::<_, Bytes>(stream).await.expect("HTTP/2");
    let connection = tokio::spawn(connection);
    let request = http::Request::post("https://localhost/waybill.worker.v1.Worker/Report")
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let (answer, mut reports) = client.send_request(request.body(()).expect("a request"), false).expect("sent");
    let answer = answer.await.expect("the stream is opened");
    for seq in 1..=20 {
        reports.send_data(framed(&report(&made, seq)), false).expect("sent");
    }
    eventually("what it sent is heard", async || rig.row(&made).await.report_seq >= 8).await;
    let ended = tokio::time::timeout(Duration::from_secs(20), connection).await.expect("it is hung up on");
    assert!(ended.expect("not aborted").is_err(), "the connection ended in order");
    drop(answer);
    eventually("the stream is counted no more", async || rig.connected.now() == 0).await;
    rig.worker(&calm).get_assignment(pb::GetAssignmentRequest {}).await.expect("others go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn h37_a_silent_report_stream_is_closed() {
    let options = Options { report_idle: Duration::from_millis(300), ..Options::default() };
    let rig = Rig::start_with(options).await;
    let made = rig.attempt().await;
    let identity = rig.enrol(&made).await;
    let status = end_of(&rig, &identity, vec![report(&made, 1)]).await;
    assert_eq!(status.code(), Code::DeadlineExceeded);
    eventually("the stream is counted no more", async || rig.connected.now() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f21_repeated_reports_are_taken_once_and_late_ones_change_nothing() {
    let rig = Rig::start().await;
    let made = rig.attempt().await;
    let identity = rig.enrol(&made).await;
    let told = |seq| {
        let mut with_event = report(&made, seq);
        with_event.events = vec![event("part_uploaded")];
        with_event
    };
    let sequence = vec![told(1), told(2), told(2), told(1), told(3)];
    let mut answers = rig.worker(&identity).report(stream_of(sequence)).await.expect("opened").into_inner();
    let mut acked = Vec::new();
    for _ in 0..5 {
        acked.push(answers.message().await.expect("answered").expect("an answer").acked_seq);
    }
    assert_eq!(acked, [1, 2, 2, 2, 3]);
    // The same reports again on another stream, as after a lost answer.
    let mut again = rig.worker(&identity).report(stream_of(vec![told(2), told(3)])).await.expect("opened").into_inner();
    for _ in 0..2 {
        again.message().await.expect("answered").expect("an answer");
    }
    assert_eq!(rig.events(&made).await, ["part_uploaded"; 3]);
}
