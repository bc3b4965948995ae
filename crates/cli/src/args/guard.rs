//! Options of the offline commands that an officer uses: `guard` and `sign`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{TEMPLATE, duration};

#[derive(Debug, Subcommand)]
pub(crate) enum Guard {
    /// Prints a guard that allows exactly the pipelines of a file; without a file one that allows nothing.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill guard init > guard.toml", "waybill guard init shop.waybill.yaml > guard.toml"))]
    Init {
        /// Pipeline file.
        file: Option<PathBuf>,
    },
    /// Finds every mistake of a guard, and says what is wide in it.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill guard lint guard.toml", "waybill guard lint guard.toml -o json"))]
    Lint {
        /// Guard; `-` reads standard input.
        file: PathBuf,
    },
    /// Shows what a worker under this guard would run of a pipeline file, and why not.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill guard test shop.waybill.yaml --guard guard.toml", "waybill guard test shop.waybill.yaml --guard guard.toml -o json"))]
    Test {
        /// Pipeline file.
        file: PathBuf,
        /// Guard.
        #[arg(long, value_name = "FILE")]
        guard: PathBuf,
        /// Signatures; FILE.sig beside the pipeline file where absent.
        #[arg(long, value_name = "FILE")]
        signatures: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Sign {
    #[command(subcommand)]
    pub(crate) command: Option<SignCommand>,
    /// Pipeline file; its signatures go to FILE.sig beside it.
    pub(crate) file: Option<PathBuf>,
    /// Private key that `waybill sign keygen` made.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// How long the signatures count; 365d where absent.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) expires: Option<Duration>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SignCommand {
    /// Makes a key: the private half in a file of mode 0600, the public half on standard output.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill sign keygen --key release.key", "waybill sign keygen --key release.key -o json"))]
    Keygen {
        /// Where the private key is written; nothing may be there.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
}
