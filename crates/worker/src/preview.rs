//! `waybill-worker preview <url> --run <id>`: prints the rows that a preview wrote, with the customer's own credentials.
//!
//! What it prints is the customer's rows: it is for the customer's terminal, and must never be sent anywhere.

use waybill_pipeline::FaultResult;
use waybill_pipeline::commit::key;

use crate::cli::PreviewArguments;
use crate::exit::Exit;
use crate::logs::print_below;
use crate::terminal;

/// More than any file of a preview holds.
const CAP: u64 = 256 << 20;

/// Prints the rows, as lines of JSON.
pub(crate) async fn show(arguments: &PreviewArguments) -> Exit {
    match print(arguments).await {
        Ok(0) => {
            terminal::say(&format!("there is no preview of {} below {}", arguments.run, arguments.url));
            Exit::Failed
        }
        Ok(_) => Exit::Ok,
        Err(fault) => {
            terminal::say(&format!("{}: {}", fault.code, fault.text.for_customer()));
            Exit::Failed
        }
    }
}

async fn print(arguments: &PreviewArguments) -> FaultResult<usize> {
    let directory = match arguments.stream {
        None => key::previews(arguments.run),
        Some(place) => format!("{}{place}-", key::previews(arguments.run)),
    };
    print_below(&arguments.url, &directory, CAP).await
}
