//! The options of `access`.

use clap::Subcommand;

use crate::complete;

use super::TEMPLATE;

#[derive(Debug, Subcommand)]
pub(crate) enum Access {
    /// Says whether a person may do something with an object, by which role, and what it would take.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill access explain grace@example.org pipeline_update shop-nightly", "waybill access explain grace@example.org run_start prj_01jd8m… -o json"))]
    Explain {
        /// E-mail address or id.
        #[arg(value_name = "PERSON", add = complete::people())]
        person: String,
        /// The operation, as docs/reference/roles.md names it.
        action: String,
        /// Id of the object, or its name; for what makes something but a run, the project that it is to be made in.
        object: Option<String>,
    },
}
