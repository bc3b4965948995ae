//! The program `waybill`: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    waybill_cli::main()
}
