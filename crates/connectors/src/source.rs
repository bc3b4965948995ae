//! Sources: one module per system, each giving a [`waybill_pipeline::Source`].

#[cfg(any(feature = "mysql", feature = "sqlite"))]
mod clock;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod column;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod range;
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(crate) mod server;
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub use server::references::References;
pub mod shape;

#[cfg(feature = "sqlite")]
pub mod sqlite;

#[cfg(feature = "files")]
pub mod files;

#[cfg(feature = "mysql")]
pub mod mysql;

#[cfg(feature = "postgres")]
pub mod postgres;

/// How long a clock may take until it shows again what it showed before, in minutes: a day and the longest setback.
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
const MINUTES_OF_A_SETBACK: i32 = 1_560;

/// Rows that no window ever reaches, where the policy says to fail; `why` follows the count.
#[cfg(any(feature = "mysql", feature = "sqlite"))]
fn without_cursor(rows: u64, why: &str) -> waybill_pipeline::Fault {
    let text = format!("{} without a cursor{why}", waybill_model::size::show_count(rows, "row"));
    waybill_pipeline::Fault::new(waybill_model::FailureCode::CursorNull, text)
}

/// All numbers of a cursor column lie below the last one that was read, and nothing shows that the next ones will not.
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
fn fell_back(column: &str) -> waybill_pipeline::Fault {
    let text = format!(
        "the highest number of the cursor {column} is below the last one read: numbers began anew, and rows up to that one \
         would never come"
    );
    waybill_pipeline::Fault::new(waybill_model::FailureCode::CursorFellBack, text)
}
