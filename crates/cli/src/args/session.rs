//! The options of `session`.

use clap::Subcommand;

use crate::complete;

use super::{Limit, TEMPLATE};

#[derive(Debug, Subcommand)]
pub(crate) enum Session {
    /// Lists where you, or another person, are logged in.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill session list", "waybill session list --of grace@example.org"))]
    List {
        #[command(flatten)]
        limit: Limit,
        /// E-mail address or id of another person.
        #[arg(id = "person", long = "of", value_name = "PERSON", add = complete::people())]
        of: Option<String>,
    },
    /// Lists how you, or another person, signed in, and who tried to in vain; newest first.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill session history", "waybill session history --of grace@example.org -o json"))]
    History {
        #[command(flatten)]
        limit: Limit,
        /// E-mail address or id of another person.
        #[arg(id = "person", long = "of", value_name = "PERSON", add = complete::people())]
        of: Option<String>,
    },
    /// Ends a session, or all of them; of your own, all but this one. What it is used for next is refused.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill session revoke ses_01jd8m…", "waybill session revoke --all --of grace@example.org"))]
    Revoke {
        /// Id of the session.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        session: Option<String>,
        /// All of them.
        #[arg(long)]
        all: bool,
        /// E-mail address or id of another person.
        #[arg(id = "person", long = "of", value_name = "PERSON", add = complete::people())]
        of: Option<String>,
    },
}
