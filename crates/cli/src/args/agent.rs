//! The options of `agent`.

use clap::Subcommand;

use crate::complete;

use super::{Limit, TEMPLATE};

#[derive(Debug, Subcommand)]
pub(crate) enum Agent {
    /// Makes a one-time token for an agent, and says what to do with it. An agent that there is gets a new one.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill agent enrol office-1", "waybill agent enrol office-2 --data-plane office --approval"))]
    Enrol {
        /// Name of the agent; its id too, where there is one.
        #[arg(add = complete::agents())]
        name: String,
        /// Data plane whose workers it starts; made where there is none of this name. An agent that there is keeps its own; a
        /// new one gets `agents` where none is named.
        #[arg(long, value_name = "NAME", add = complete::data_planes())]
        data_plane: Option<String>,
        /// The agent gets no certificate before its key is approved.
        #[arg(long)]
        approval: bool,
    },
    /// Lists agents.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill agent list", "waybill agent list -o json"))]
    List(Limit),
    /// Shows an agent.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill agent show office-1", "waybill agent show office-1 -o yaml"))]
    Show {
        /// Name or id.
        #[arg(add = complete::agents())]
        agent: String,
    },
    /// Approves the key of an agent, after you compared its fingerprint with what the agent printed on its host.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill agent approve office-1 --fingerprint sha256:9f86…", "waybill agent approve agt_01jd8m… --fingerprint sha256:9f86…"))]
    Approve {
        /// Name or id.
        #[arg(add = complete::agents())]
        agent: String,
        /// What the agent printed.
        #[arg(long, value_name = "sha256:HEX")]
        fingerprint: String,
    },
    /// Disables an agent at once: its stream is closed, and what its workers say counts no more.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill agent disable office-1", "waybill agent disable agt_01jd8m…"))]
    Disable {
        /// Name or id.
        #[arg(add = complete::agents())]
        agent: String,
    },
    /// Enables a disabled agent.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill agent enable office-1", "waybill agent enable agt_01jd8m…"))]
    Enable {
        /// Name or id.
        #[arg(add = complete::agents())]
        agent: String,
    },
    /// Removes an agent; it can't come back without a new token.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill agent remove office-1", "waybill agent remove agt_01jd8m…"))]
    Remove {
        /// Name or id.
        #[arg(add = complete::agents())]
        agent: String,
    },
}
