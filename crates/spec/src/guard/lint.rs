//! What is allowed by a right guard and yet worth a second look: wide patterns, no end, keys that do nothing.

use std::time::Duration;

use waybill_model::Micros;

use super::{Guard, Reason, Refusal};

/// A guard that ends sooner than this is worth a word.
const SOON: Duration = Duration::from_hours(14 * 24);

/// Remarks on a guard; none of them refuses anything. Their reason says nothing.
#[must_use]
pub fn lint(guard: &Guard, now: Micros) -> Vec<String> {
    let mut remarks = Vec::new();
    let mut remark = |key: &'static str, text: &str| {
        let line = guard.place(key).line;
        remarks.push(format!("line {line}, `{key}`: {text}"));
    };
    match guard.expires {
        None => remark("expires", "there is no end; a guard that ends makes somebody look at it again"),
        Some(end) if end > now && end <= now.plus(SOON) => remark("expires", "it ends within two weeks"),
        Some(_) => {}
    }
    if guard.secrets.iter().any(|pattern| pattern.start().ends_with("://")) {
        remark("secrets", "every secret of a kind may be resolved: name their beginning");
    }
    if guard.read.hosts.iter().any(waybill_model::net::HostPattern::is_wide) && guard.network.egress.is_none() {
        remark("read.hosts", "it names many hosts; `egress` would bound the addresses that they resolve to");
    }
    if guard.write.hosts.iter().any(waybill_model::net::HostPattern::is_wide) {
        remark("write.hosts", "it names many hosts: name each server that is written to");
    }
    if guard.write.tables.iter().any(|pattern| pattern.is_open() && !pattern.start().contains('/')) {
        remark("write.tables", "tables of any database may be written to: name the database, and its schema");
    }
    if guard.read.tables.as_ref().is_none_or(|tables| tables.iter().any(super::TextPattern::is_all)) {
        remark("read.tables", "every table that the source's user can read may be copied");
    }
    if !guard.network.require_tls {
        remark("network.require_tls", "connections without TLS are allowed: passwords and rows can be read on the way");
    }
    if guard.network.egress.as_ref().is_some_and(|egress| egress.iter().any(|range| range.bits() == 0)) {
        remark("network.egress", "a range with /0 bounds nothing");
    }
    if !guard.require_signed_specs && !guard.signers.is_empty() {
        remark(
            "signers",
            "signers are listed but `require_signed_specs` is not true: their signatures are not asked for",
        );
    }
    if guard.require_signed_specs && guard.reload == Some(true) {
        remark("reload", "no signature covers a reload: whoever can start runs can have a table replaced");
    }
    if guard.require_signed_specs && guard.backfill == Some(true) {
        remark("backfill", "no signature covers a range: whoever can start runs learns how many rows lie in it");
    }
    if guard.signers.iter().any(|signer| signer.expires.is_some_and(|end| end <= now)) {
        remark("signers", "a signer's time is over");
    }
    if guard.limits == super::Ceilings::default() {
        remark("limits", "no ceiling bounds what one run may take");
    }
    remarks.extend(guard.refuses_all(now).filter(|all| all.reason == Reason::Expired).map(|all: Refusal| all.message));
    remarks
}
