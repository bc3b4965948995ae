//! The options of `pipeline`.

use clap::Subcommand;

use crate::complete;

use super::{Limit, TEMPLATE};

#[derive(Debug, Subcommand)]
pub(crate) enum Pipeline {
    /// Lists pipelines.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill pipeline list", "waybill pipeline list -o name"))]
    List(Limit),
    /// Shows a pipeline with its plan.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill pipeline show shop-nightly", "waybill pipeline show shop-nightly -o json"))]
    Show {
        /// Name or id.
        #[arg(add = complete::pipelines())]
        pipeline: String,
    },
    /// Says what a pipeline does to rows on their way: a page of Markdown, or JSON with -o json.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill pipeline describe shop-nightly", "waybill pipeline describe shop-nightly -o json"))]
    Describe {
        /// Name or id.
        #[arg(add = complete::pipelines())]
        pipeline: String,
    },
    /// Lets a pipeline start no runs until it is resumed. A run that is live goes on.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill pipeline pause shop-nightly", "waybill pipeline pause shop-nightly -o json"))]
    Pause {
        /// Name or id.
        #[arg(add = complete::pipelines())]
        pipeline: String,
    },
    /// Lets a pipeline start runs again.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill pipeline resume shop-nightly", "waybill pipeline resume shop-nightly -o json"))]
    Resume {
        /// Name or id.
        #[arg(add = complete::pipelines())]
        pipeline: String,
    },
    /// Goes on from the epoch that a wrong clock left in a table, more than a day in the future (failure `epoch_ahead`).
    #[command(help_template = TEMPLATE, before_help = examples!("waybill pipeline accept-epoch shop-nightly", "waybill pipeline accept-epoch shop-nightly -o json"))]
    AcceptEpoch {
        /// Name or id.
        #[arg(add = complete::pipelines())]
        pipeline: String,
    },
}
