//! The worker's program: everything but its allocator is in the library.

use std::process::ExitCode;

/// Gives freed pages back after a fixed time (`.cargo/config.toml`), so that a worker's peak is what it holds and not how its threads
/// happened to meet.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    waybill_worker::main()
}
