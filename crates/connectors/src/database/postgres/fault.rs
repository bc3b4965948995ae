//! What a failure of the connection or the server means where rows are written: the shared protocol speaks of sources.

use waybill_model::FailureCode;
use waybill_pipeline::Fault;

use crate::source::postgres::refusal::Failure;

/// The failure as one of the destination.
pub(super) fn of_target(failure: impl Into<Failure>) -> Fault {
    let failure = failure.into();
    let code = match &failure {
        Failure::Server(error) if error.is_row_security() => Some(FailureCode::RowSecurity),
        Failure::Server(error) => Some(of_state(error.state())),
        Failure::Fault(_) => None,
    };
    let mut fault = Fault::from(failure);
    fault.code = code.unwrap_or(match fault.code {
        FailureCode::SourceUnreachable => FailureCode::TargetUnreachable,
        FailureCode::SourceDenied => FailureCode::TargetDenied,
        FailureCode::SourceFailed
        | FailureCode::SourceIncomplete
        | FailureCode::SourceMalformed
        | FailureCode::RecoveryConflict
        | FailureCode::StreamNotFound
        | FailureCode::ColumnNotFound => FailureCode::TargetFailed,
        other => other,
    });
    fault
}

/// What the server refused a statement for.
fn of_state(state: &str) -> FailureCode {
    use FailureCode as C;
    match (state, state.get(..2).unwrap_or_default()) {
        ("57P03", _) => C::TargetUnreachable,
        ("42501", _) | (_, "28" | "3D" | "3F") => C::TargetDenied,
        ("53100", _) => C::BucketFull,
        // Two of the new rows would take one row's place.
        ("21000", _) => C::KeyViolated,
        // A constraint, a trigger or a type of the table does not take a value.
        ("P0001", _) | (_, "22" | "23" | "44") => C::ValueRefused,
        // Something that stands on the table forbids a change of it.
        ("2BP01" | "0A000" | "42P16" | "42804", _) => C::SchemaChanged,
        ("42P07", _) => C::TableNotOurs,
        _ => C::TargetFailed,
    }
}

#[cfg(test)]
mod tests {
    use waybill_pipeline::Fault;

    use super::*;

    #[test]
    fn a_failure_at_the_destination_never_blames_the_source() {
        for code in FailureCode::ALL.iter().filter(|code| code.as_str().starts_with("source_")) {
            let found = of_target(Fault::new(*code, "x")).code;
            assert!(*code == FailureCode::SourceChanged || found != *code, "{code}");
        }
        assert_eq!(of_state("23505"), FailureCode::ValueRefused);
        assert_eq!(of_state("40P01"), FailureCode::TargetFailed);
    }
}
