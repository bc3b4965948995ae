//! Named points at which a fault build can be killed, stopped or broken from outside. In every other build `point` is
//! empty and its names are not in the program.
//!
//! `WAYBILL_FAULT=<point>=<action>[;<marker file>]` where action is `kill`, `stop`, `panic`, `wait` or `exhaust`, which
//! takes memory. The marker file is written *before* the action, so that a test can assert that its fault fired; with a
//! marker that exists already the point does nothing, so that the next attempt passes.

#[cfg(feature = "failpoints")]
pub use armed::point;

/// Marks a step at which a fault build may end this process.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub const fn point(_name: &'static str) {}

#[cfg(feature = "failpoints")]
mod armed {
    use std::path::Path;
    use std::process::Command;

    /// Marks a step at which a fault build may end this process.
    pub fn point(name: &'static str) {
        let Ok(order) = std::env::var("WAYBILL_FAULT") else { return };
        let (fault, marker) = order.split_once(';').unwrap_or((&order, ""));
        let Some(action) = fault.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) else { return };
        if !marker.is_empty() {
            if Path::new(marker).exists() {
                return;
            }
            std::fs::write(marker, format!("{name} {}", std::process::id())).expect("write the fault's marker");
        }
        match action {
            "kill" => signal("KILL"),
            "stop" => signal("STOP"),
            "panic" => panic!("fault at {name}"),
            "wait" => loop {
                std::thread::park();
            },
            "exhaust" => exhaust(),
            other => panic!("unknown fault action {other}"),
        }
    }

    /// Takes memory until the kernel or a limit ends the process.
    fn exhaust() {
        let mut held = Vec::new();
        loop {
            held.push(vec![1_u8; 16 << 20]);
        }
    }

    /// A real signal from a real process: the same as the kernel's OOM killer or an operator's `kill`.
    fn signal(name: &str) {
        let pid = std::process::id().to_string();
        Command::new("kill").args(["-s", name, &pid]).status().expect("run kill");
    }
}
