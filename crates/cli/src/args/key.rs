//! The options of `key`.

use clap::Subcommand;
use waybill_model::role::ServiceRole;

use crate::complete;

use super::{Limit, TEMPLATE};

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Lists the keys of the project.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill key list", "waybill key list --project prod -o json"))]
    List(Limit),
    /// Shows a key, without the key itself.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill key show ci", "waybill key show key_01jd8m… -o json"))]
    Show {
        /// Name or id.
        key: String,
    },
    /// Makes a key for a program and prints it, this once. It never may more than you may in the project.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill key create ci --pipeline shop-nightly --days 90", "waybill key create deploy --role editor --days 30 --network 198.51.100.0/24"))]
    Create {
        /// Lower-case letters, digits and dashes.
        name: String,
        /// api, which starts the named pipelines and sees the runs that it started; or viewer, operator or editor.
        #[arg(long, value_name = "ROLE", default_value_t = ServiceRole::Api, add = complete::service_roles())]
        role: ServiceRole,
        /// Name or id of a pipeline that a key of role api starts; may be given several times.
        #[arg(long, value_name = "PIPELINE", add = complete::pipelines())]
        pipeline: Vec<String>,
        /// How many days it lives, 1 to 365.
        #[arg(long)]
        days: u16,
        /// Range of addresses that it may come from, such as 198.51.100.0/24; may be given several times. From anywhere without.
        #[arg(long, value_name = "RANGE")]
        network: Vec<String>,
    },
    /// Revokes a key: it is refused with the next request.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill key revoke ci", "waybill key revoke key_01jd8m…"))]
    Revoke {
        /// Name or id.
        key: String,
    },
}
