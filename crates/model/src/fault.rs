//! Named points at which a fault build can be killed, stopped or broken from outside. In every other build `point` is
//! empty, `asked` is false, and their names are not in the program.
//!
//! `WAYBILL_FAULT=<point>=<action>;<marker file>`, several joined by `|`: each is armed when the one before it is spent. The
//! marker is written *before* the action, so that a test can assert that its fault fired; a fault whose marker exists is
//! spent, so that the next attempt passes. Actions:
//!
//! - `kill`, `stop`: that signal, from a real process; `panic`; `exit`: leaves with code 0 and without a word;
//! - `wait`: this thread goes no further; `pause`: nor does it until `<marker>.go` exists, while the rest of the process goes
//!   on; `exhaust`: takes memory;
//! - `freeze`: stopped, and stopped again by whoever continues it, until `<marker>.go` exists: a machine that sleeps;
//! - `hold`: the same in every process that comes here;
//! - `mark`: nothing more; it only arms the order behind it, whose point is met on many ways, at one of them;
//! - what a caller of `asked` acts out itself: `lose` once, `repeat` until `<marker>.go` exists.
//!
//! `WAYBILL_FAULT_VERSION=<version>;<marker file>` makes a fault build stand for another version of the program.

#[cfg(feature = "failpoints")]
pub use armed::{asked, point, version};

/// Marks a step at which a fault build may end this process.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub const fn point(_name: &'static str) {}

/// Whether a fault build is to act out this action here.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
#[must_use]
pub const fn asked(_name: &'static str, _action: &'static str) -> bool {
    false
}

/// The version that a fault build is to stand for.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
#[must_use]
pub const fn version() -> Option<String> {
    None
}

#[cfg(feature = "failpoints")]
mod armed {
    use std::fs::OpenOptions;
    use std::io::Write as _;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    /// One fault as it was ordered.
    struct Order {
        point: String,
        action: String,
        marker: PathBuf,
    }

    impl Order {
        fn read(text: &str) -> Self {
            let (fault, marker) = text.split_once(';').expect("a fault names its marker file");
            let (point, action) = fault.split_once('=').expect("a fault is <point>=<action>");
            Self { point: point.to_owned(), action: action.to_owned(), marker: marker.into() }
        }

        /// Whether it has happened and does not happen again.
        fn is_spent(&self) -> bool {
            match self.action.as_str() {
                "hold" | "repeat" => self.go().exists(),
                _ => self.marker.exists(),
            }
        }

        fn go(&self) -> PathBuf {
            let mut name = self.marker.clone().into_os_string();
            name.push(".go");
            name.into()
        }

        fn fires(&self) {
            mark(&self.marker, &self.point);
        }
    }

    /// Writes a marker: a line for each time.
    fn mark(marker: &Path, what: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(marker).expect("the fault's marker");
        file.write_all(format!("{what} {}\n", std::process::id()).as_bytes()).expect("write the marker");
    }

    /// The version that this process is to stand for, if it is not its own.
    pub fn version() -> Option<String> {
        let order = std::env::var("WAYBILL_FAULT_VERSION").ok()?;
        let (version, marker) = order.split_once(';').expect("a version names its marker file");
        mark(marker.as_ref(), version);
        Some(version.to_owned())
    }

    /// The order that is armed, where it is for this point.
    fn armed(name: &str) -> Option<Order> {
        let orders = std::env::var("WAYBILL_FAULT").ok()?;
        let armed = orders.split('|').map(Order::read).find(|order| !order.is_spent())?;
        (armed.point == name).then_some(armed)
    }

    /// Whether a fault build is to act out this action here.
    pub fn asked(name: &'static str, action: &'static str) -> bool {
        let order = armed(name).filter(|order| order.action == action);
        if let Some(order) = &order {
            order.fires();
        }
        order.is_some()
    }

    /// Marks a step at which a fault build may end this process.
    pub fn point(name: &'static str) {
        let Some(order) = armed(name) else { return };
        if ["lose", "repeat"].contains(&order.action.as_str()) {
            return;
        }
        order.fires();
        match order.action.as_str() {
            "kill" => signal("KILL"),
            "stop" => signal("STOP"),
            "panic" => panic!("fault at {name}"),
            "exit" => std::process::exit(0),
            "wait" => loop {
                std::thread::park();
            },
            "pause" => {
                while !order.go().exists() {
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
            }
            "freeze" | "hold" => {
                while !order.go().exists() {
                    signal("STOP");
                }
            }
            "exhaust" => exhaust(),
            "mark" => {}
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
