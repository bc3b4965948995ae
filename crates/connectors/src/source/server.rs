//! What connections to every database server share: the way from a host name to a socket, TLS, the password, and bytes whose
//! number is bounded before they are buffered.
//!
//! It knows no protocol: what is said on a connection stands with its source.

pub(crate) mod loss;
pub(crate) mod part;
pub(crate) mod password;
pub(crate) mod reach;
pub(crate) mod references;
pub(crate) mod rotation;
pub(crate) mod socket;
pub(crate) mod sums;
pub(crate) mod tls;
pub(crate) mod transport;
pub(crate) mod tunnel;

use waybill_model::FailureCode;
use waybill_model::receipt::Grade;
use waybill_pipeline::{Fault, FaultResult, Proof};

/// A breach of the protocol.
pub(crate) fn malformed(text: &str) -> Fault {
    Fault::new(FailureCode::SourceMalformed, text)
}

/// What holds for the rows that were read in a snapshot, where the server may have counted them in it too.
pub(crate) fn proof(read: u64, source_count: Option<u64>, snapshot: String) -> FaultResult<Proof> {
    let grade = match source_count {
        Some(count) if count != read => {
            let text = format!("the source counts {count} rows and {read} came");
            return Err(Fault::new(FailureCode::SourceIncomplete, text));
        }
        Some(_) => Grade::Verified,
        None => Grade::Counted,
    };
    Ok(Proof { grade, source_count, sums: Vec::new(), snapshot })
}
