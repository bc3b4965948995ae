//! Bytes of any kind in place of commits and checkpoints: a table, or a refusal.
//!
//! What begins with `s` is sealed as ours is, so that what lies behind the seal is reached as well.

mod checkpoint;

use bytes::Bytes;

pub(crate) use checkpoint::delta_checkpoint;

use crate::commit::digest::{DigestKey, Sealed};
use crate::commit::kind::LogKind;
use crate::commit::log::{COMMIT_HEAD, COMMIT_PURPOSE, Head, Told};
use crate::commit::plain::{HEAD, PURPOSE, PlainCommit};

fn sealed(key: &DigestKey, purpose: &str, head: &str, body: &[u8]) -> Bytes {
    match (body.first(), std::str::from_utf8(body)) {
        (Some(b's'), Ok(text)) => Sealed::write(key, purpose, head, &text[1..]).1.into(),
        _ => Bytes::copy_from_slice(body),
    }
}

/// Commits of Delta's log, apart by a byte that no JSON holds.
pub(crate) fn delta_log(data: &[u8]) {
    let key = DigestKey::of(b"a key of tests alone");
    let bodies: Vec<Bytes> =
        data.split(|byte| *byte == 0).map(|body| sealed(&key, COMMIT_PURPOSE, COMMIT_HEAD, body)).collect();
    for history in [false, true] {
        let mut head = Head { gone: history.then(Default::default), ..Head::default() };
        let is_whole = (0..).zip(&bodies).all(|(version, body)| {
            let is_taken = head.apply_commit(version, body, Some(&key)).is_ok();
            head.version = Some(version);
            is_taken
        });
        if is_whole && head.check().is_ok() {
            let rows = head.rows();
            assert!(
                rows.is_none_or(|rows| rows >= head.files.values().filter_map(|file| file.rows).max().unwrap_or(0))
            );
        }
    }
    // Each is told by itself, also where the log is broken before it.
    for (version, body) in (0..).zip(&bodies) {
        let _ = Told::by(LogKind::Delta, version, body, &key);
    }
}

/// Versions of the plain log, likewise.
pub(crate) fn plain_log(data: &[u8]) {
    let key = DigestKey::of(b"a key of tests alone");
    let mut head = Head { log: LogKind::Plain, gone: Some(Default::default()), ..Head::default() };
    let bodies: Vec<Bytes> = data.split(|byte| *byte == 0).map(|body| sealed(&key, PURPOSE, HEAD, body)).collect();
    // Each is told by itself, also where the log is broken before it.
    for (version, body) in (0..).zip(&bodies) {
        let _ = Told::by(LogKind::Plain, version, body, &key);
    }
    for (version, body) in (0..).zip(&bodies) {
        let read = PlainCommit::parse(version, body, Some(&key));
        if read.and_then(|commit| head.apply_plain(version, commit)).is_err() {
            return;
        }
        let _ = head.rows();
    }
}
