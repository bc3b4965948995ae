//! What the terminal can take: colour and progress only where a person looks, and never where NO_COLOR is set.

use std::io::IsTerminal;

/// What may be written where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    /// Colour on standard error.
    pub(crate) color: bool,
    /// Lines that are drawn again and again on standard error.
    pub(crate) progress: bool,
    /// A person can be asked.
    pub(crate) asks: bool,
    /// Columns of standard error.
    pub(crate) width: usize,
}

impl Terminal {
    pub(crate) fn of_this_process() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        let stderr = std::io::stderr();
        let drawn = stderr.is_terminal() && !plain && !dumb;
        let width = rustix::termios::tcgetwinsize(&stderr).map_or(0, |size| usize::from(size.ws_col));
        Self {
            color: drawn,
            progress: drawn,
            asks: std::io::stdin().is_terminal() && stderr.is_terminal(),
            width: if width == 0 { 100 } else { width.clamp(40, 160) },
        }
    }
}
