//! The options of `password`.

use std::path::PathBuf;

use clap::Subcommand;

use super::{Password as Given, TEMPLATE};

#[derive(Debug, Subcommand)]
pub(crate) enum Password {
    /// Changes your password. Every other session of yours ends.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill password change", "waybill password change --current-file ./old --password-file ./new"))]
    Change {
        /// File with the password that you have; asked for where absent.
        #[arg(long, value_name = "FILE")]
        current_file: Option<PathBuf>,
        #[command(flatten)]
        password: Given,
    },
    /// Chooses a new password with the token of a link that somebody made for you, and logs in.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill password reset --url https://waybill.example.org", "waybill password reset --token-file ./token --password-file ./password"))]
    Reset {
        /// File with the token; asked for where absent.
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
        #[command(flatten)]
        password: Given,
    },
}
