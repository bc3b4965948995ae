//! `waybill-worker preview <url> --run <id>`: prints the rows that a preview wrote, with the customer's own credentials.
//!
//! What it prints is the customer's rows: it is for the customer's terminal, and must never be sent anywhere.

use waybill_pipeline::commit::key;

use crate::cli::PreviewArguments;
use crate::exit::Exit;
use crate::logs::show_below;

/// More than any file of a preview holds.
const CAP: u64 = 256 << 20;

/// Prints the rows, as lines of JSON.
pub(crate) async fn show(arguments: &PreviewArguments) -> Exit {
    let directory = match arguments.stream {
        None => key::previews(arguments.run),
        Some(place) => format!("{}{place}-", key::previews(arguments.run)),
    };
    show_below((&arguments.url, &directory), CAP, &format!("preview of {}", arguments.run)).await
}
