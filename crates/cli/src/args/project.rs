//! The options of `project`.

use clap::Subcommand;

use crate::complete;

use super::{Limit, TEMPLATE};

#[derive(Debug, Subcommand)]
pub(crate) enum Project {
    /// Lists projects.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill project list", "waybill project list -o name"))]
    List(Limit),
    /// Shows a project with the regions that it allows.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill project show default", "waybill project show default -o json"))]
    Show {
        /// Name or id.
        #[arg(value_name = "PROJECT", add = complete::projects())]
        name: String,
    },
    /// Says in which regions data planes, buckets and secrets may stand; what stands elsewhere is neither applied nor launched.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill project set prod --allow-region eu-central-1 --allow-region eu-west-1", "waybill project set prod --allow-any-region"))]
    Set {
        /// Name or id.
        #[arg(value_name = "PROJECT", add = complete::projects())]
        name: String,
        /// Region; can be given several times, and replaces those of before.
        #[arg(long = "allow-region", value_name = "REGION", required_unless_present = "allow_any_region")]
        allow_regions: Vec<String>,
        /// Allow every region.
        #[arg(long, conflicts_with = "allow_regions")]
        allow_any_region: bool,
    },
}
