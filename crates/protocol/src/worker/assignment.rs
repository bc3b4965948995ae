//! Assignment, bounds and directives: what the orchestrator says.

use std::collections::BTreeMap;
use std::time::Duration;

use waybill_model::errand::{Errand, Range};
use waybill_model::report::{Assignment, Bounds, Directive};
use waybill_model::run::RunKind;

use crate::pb::worker as pb;
use crate::wire::{self, Problem, WireError, WireResult};

impl From<Assignment> for pb::GetAssignmentResponse {
    fn from(a: Assignment) -> Self {
        let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        let those = |wanted: Errand| a.errands.iter().filter(move |(_, errand)| **errand == wanted).map(|(at, _)| *at);
        let backfill = |(at, errand): (&u32, &Errand)| match errand {
            Errand::Backfill(range) => Some(pb::Backfill {
                stream: *at,
                from: range.from().map(|bound| bound.to_string()),
                to: range.to().map(|bound| bound.to_string()),
            }),
            Errand::Reload | Errand::ForgetCursor | Errand::Limit(_) => None,
        };
        let limit = a.errands.values().find_map(|errand| match errand {
            Errand::Limit(rows) => Some(*rows),
            _ => None,
        });
        Self {
            run_id: a.run.to_string(),
            pipeline_id: a.pipeline.to_string(),
            epoch: a.epoch.0,
            kind: match a.kind {
                RunKind::Sync if a.errands.values().any(|errand| *errand != Errand::Reload) => pb::RunKind::Errand,
                RunKind::Sync => pb::RunKind::Sync,
                RunKind::Check => pb::RunKind::Check,
                RunKind::Discover => pb::RunKind::Discover,
                RunKind::Test => pb::RunKind::Test,
                RunKind::Preview => pb::RunKind::Preview,
            }
            .into(),
            plan: a.plan,
            streams: a.streams,
            reload: those(Errand::Reload).collect(),
            forget_cursor: those(Errand::ForgetCursor).collect(),
            backfill: a.errands.iter().filter_map(backfill).collect(),
            limit: limit.unwrap_or(0),
            bounds: Some(pb::Bounds {
                heartbeat_ms: millis(a.bounds.heartbeat),
                offline_grace_ms: millis(a.bounds.offline_grace),
                grant_ms: millis(a.bounds.grant),
            }),
            name_ceiling_bytes: a.name_ceiling_bytes,
            signature: a.signature,
            accepted_epoch: a.accepted_epoch.map(|epoch| epoch.0),
            preview_rows: a.preview_rows,
        }
    }
}

impl TryFrom<pb::GetAssignmentResponse> for Assignment {
    type Error = WireError;

    fn try_from(wire: pb::GetAssignmentResponse) -> WireResult<Self> {
        let kind = match wire.kind() {
            pb::RunKind::Unspecified => return Err(WireError::new("kind", Problem::UnknownValue)),
            pb::RunKind::Sync | pb::RunKind::Errand => RunKind::Sync,
            pb::RunKind::Check => RunKind::Check,
            pb::RunKind::Discover => RunKind::Discover,
            pb::RunKind::Test => RunKind::Test,
            pb::RunKind::Preview => RunKind::Preview,
        };
        let bounds = wire.bounds.ok_or_else(|| WireError::new("bounds", Problem::Missing))?;
        let limited = if wire.limit == 0 { &[][..] } else { &wire.streams[..] };
        let limited = limited.iter().map(|at| (*at, Errand::Limit(wire.limit)));
        let reload = wire.reload.iter().map(|at| (*at, Errand::Reload));
        let forget = wire.forget_cursor.iter().map(|at| (*at, Errand::ForgetCursor));
        let errands = read_errands(reload.chain(forget).chain(limited), wire.backfill)?;
        Ok(Self {
            run: wire::id("run_id", &wire.run_id)?,
            pipeline: wire::id("pipeline_id", &wire.pipeline_id)?,
            epoch: wire::epoch("epoch", wire.epoch)?,
            accepted_epoch: wire.accepted_epoch.map(|epoch| wire::epoch("accepted_epoch", epoch)).transpose()?,
            kind,
            plan: wire.plan,
            streams: wire.streams,
            errands,
            bounds: read_bounds(bounds)?,
            name_ceiling_bytes: wire.name_ceiling_bytes,
            signature: wire.signature,
            preview_rows: wire::count("preview_rows", wire.preview_rows)?,
        })
    }
}

/// A stream has one errand at most: two would be settled by their order, which nobody meant.
fn read_errands(
    plain: impl Iterator<Item = (u32, Errand)>,
    backfill: Vec<pb::Backfill>,
) -> WireResult<BTreeMap<u32, Errand>> {
    let refused = || WireError::new("backfill", Problem::OutOfRange);
    let ranged = backfill.into_iter().map(|one| {
        let range = Range::new(one.from.as_deref(), one.to.as_deref()).map_err(|_| refused())?;
        Ok((one.stream, Errand::Backfill(range)))
    });
    let mut errands = BTreeMap::new();
    for one in plain.map(Ok).chain(ranged) {
        let (stream, errand) = one?;
        if errands.insert(stream, errand).is_some() {
            return Err(refused());
        }
    }
    Ok(errands)
}

fn read_bounds(wire: pb::Bounds) -> WireResult<Bounds> {
    let read = |field: &str, millis: u64| match millis {
        0 => Err(WireError::new(field, Problem::OutOfRange)),
        // A year bounds every later sum far below overflow.
        _ if millis > 366 * 86_400_000 => Err(WireError::new(field, Problem::OutOfRange)),
        _ => Ok(Duration::from_millis(millis)),
    };
    Ok(Bounds {
        heartbeat: read("bounds.heartbeat_ms", wire.heartbeat_ms)?,
        offline_grace: read("bounds.offline_grace_ms", wire.offline_grace_ms)?,
        grant: read("bounds.grant_ms", wire.grant_ms)?,
    })
}

/// A directive for the wire.
#[must_use]
pub const fn directive(directive: Directive) -> pb::Directive {
    match directive {
        Directive::Continue => pb::Directive::Continue,
        Directive::Cancel => pb::Directive::Cancel,
        Directive::Drain => pb::Directive::Drain,
        Directive::Fenced => pb::Directive::Fenced,
    }
}

/// A directive from the wire; an unknown one is refused, for the worker would not know what to do.
pub fn read_directive(wire: pb::Directive) -> WireResult<Directive> {
    Ok(match wire {
        pb::Directive::Unspecified => return Err(WireError::new("directive", Problem::UnknownValue)),
        pb::Directive::Continue => Directive::Continue,
        pb::Directive::Cancel => Directive::Cancel,
        pb::Directive::Drain => Directive::Drain,
        pb::Directive::Fenced => Directive::Fenced,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use waybill_model::{Epoch, PipelineId, RunId};

    fn assignment() -> Assignment {
        Assignment {
            run: RunId::generate(),
            pipeline: PipelineId::generate(),
            epoch: Epoch(12),
            accepted_epoch: Some(Epoch(11)),
            kind: RunKind::Discover,
            plan: b"{}".to_vec(),
            streams: vec![0, 2],
            errands: BTreeMap::from([
                (0, Errand::Backfill(Range::new(Some("5"), None).expect("a range"))),
                (2, Errand::Reload),
                (3, Errand::ForgetCursor),
            ]),
            bounds: Bounds::default(),
            name_ceiling_bytes: 1 << 20,
            signature: Some("wbs1.a.1.b".into()),
            preview_rows: 100,
        }
    }

    #[test]
    fn an_assignment_survives_the_wire() {
        let wire = pb::GetAssignmentResponse::from(assignment_of(RunKind::Sync));
        assert!(Assignment::try_from(wire).is_ok());
        let sent = assignment();
        assert_eq!(Assignment::try_from(pb::GetAssignmentResponse::from(sent.clone())), Ok(sent));
    }

    #[test]
    fn a_limit_is_every_streams_and_stands_beside_nothing_else() {
        let errands = BTreeMap::from([(0, Errand::Limit(9)), (2, Errand::Limit(9))]);
        let sent = Assignment { errands, ..assignment() };
        let wire = pb::GetAssignmentResponse::from(sent.clone());
        assert_eq!(Assignment::try_from(wire.clone()), Ok(sent));
        let torn = pb::GetAssignmentResponse { reload: vec![2], ..wire };
        assert_eq!(Assignment::try_from(torn).expect_err("two errands").field, "backfill");
    }

    /// A worker from before these reads an unknown kind as none, and refuses the run: it would read a window, or every row.
    #[test]
    fn a_run_that_somebody_asked_for_in_place_of_a_window_is_of_a_kind_of_its_own() {
        for (errand, kind) in [
            (Errand::Reload, pb::RunKind::Sync),
            (Errand::ForgetCursor, pb::RunKind::Errand),
            (Errand::Limit(5), pb::RunKind::Errand),
            (Errand::Backfill(Range::new(Some("5"), None).expect("a range")), pb::RunKind::Errand),
        ] {
            let sent =
                Assignment { errands: BTreeMap::from([(0, errand)]), streams: vec![0], ..assignment_of(RunKind::Sync) };
            let wire = pb::GetAssignmentResponse::from(sent.clone());
            assert_eq!(wire.kind(), kind);
            assert_eq!(Assignment::try_from(wire), Ok(sent));
        }
    }

    fn assignment_of(kind: RunKind) -> Assignment {
        Assignment { kind, ..assignment() }
    }

    #[test]
    fn an_assignment_without_bounds_kind_or_epoch_is_refused() {
        let good = pb::GetAssignmentResponse::from(assignment());
        let field = |wire: pb::GetAssignmentResponse| Assignment::try_from(wire).expect_err("must be refused").field;
        assert_eq!(field(pb::GetAssignmentResponse { bounds: None, ..good.clone() }), "bounds");
        assert_eq!(field(pb::GetAssignmentResponse { kind: 99, ..good.clone() }), "kind");
        assert_eq!(field(pb::GetAssignmentResponse { epoch: -1, ..good.clone() }), "epoch");
        let accepted = Some(-1);
        assert_eq!(field(pb::GetAssignmentResponse { accepted_epoch: accepted, ..good.clone() }), "accepted_epoch");
        let zero = pb::Bounds { heartbeat_ms: 0, offline_grace_ms: 1, grant_ms: 1 };
        assert_eq!(field(pb::GetAssignmentResponse { bounds: Some(zero), ..good.clone() }), "bounds.heartbeat_ms");
        let none = pb::Backfill { stream: 1, from: None, to: None };
        assert_eq!(field(pb::GetAssignmentResponse { backfill: vec![none], ..good.clone() }), "backfill");
        assert_eq!(field(pb::GetAssignmentResponse { forget_cursor: vec![2], ..good }), "backfill", "it has an errand");
    }

    #[test]
    fn every_directive_reads_back_and_unspecified_is_refused() {
        for each in Directive::ALL {
            assert_eq!(read_directive(directive(*each)), Ok(*each));
        }
        assert!(read_directive(pb::Directive::Unspecified).is_err());
    }
}
