//! The options of `invitation`.

use std::path::PathBuf;

use clap::Subcommand;
use waybill_model::role::{OrganizationRole, ProjectRole};

use crate::complete;

use super::{Limit, Password, TEMPLATE};

#[derive(Debug, Subcommand)]
pub(crate) enum Invitation {
    /// Lists invitations, oldest first.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill invitation list", "waybill invitation list -o json"))]
    List(Limit),
    /// Asks a person in and prints the token that makes their account, this once. It is good for 72 hours.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill invitation create grace@example.org", "waybill invitation create grace@example.org --project-role editor --project prod"))]
    Create {
        /// E-mail address.
        #[arg(value_name = "ADDRESS")]
        email: String,
        /// owner, administrator or member; at most as high as your own.
        #[arg(long, value_name = "ROLE", default_value_t = OrganizationRole::Member, add = complete::organization_roles())]
        role: OrganizationRole,
        /// owner, admin, editor, operator or viewer of the project that --project names, which takes them in.
        #[arg(long, value_name = "ROLE", add = complete::project_roles())]
        project_role: Option<ProjectRole>,
    },
    /// Takes an invitation back.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill invitation revoke grace@example.org", "waybill invitation revoke inv_01jd8m…"))]
    Revoke {
        /// E-mail address or id.
        invitation: String,
    },
    /// Makes your own account with the token of an invitation, and logs in.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill invitation accept --url https://waybill.example.org", "waybill invitation accept --token-file ./token --password-file ./password"))]
    Accept {
        /// File with the token; asked for where absent.
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
        #[command(flatten)]
        password: Password,
    },
}
