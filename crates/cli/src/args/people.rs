//! The options of `user` and `member`.

use clap::{Args, Subcommand};
use waybill_model::role::{OrganizationRole, ProjectRole};

use crate::complete;

use super::{Limit, Password, TEMPLATE};

/// Somebody, by e-mail address or id.
#[derive(Debug, Args)]
pub(crate) struct Person {
    /// E-mail address or id.
    #[arg(value_name = "PERSON", add = complete::people())]
    pub(crate) person: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Lists the people of the organization.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill user list", "waybill user list -o json"))]
    List(Limit),
    /// Shows a person.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill user show grace@example.org", "waybill user show grace@example.org -o json"))]
    Show(Person),
    /// Makes an account. A member sees nothing until a project takes them in.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill user add grace@example.org", "waybill user add grace@example.org --role administrator --password-file ./first-password"))]
    Add {
        /// E-mail address.
        #[arg(value_name = "ADDRESS")]
        email: String,
        /// owner, administrator or member; at most as high as your own.
        #[arg(long, value_name = "ROLE", default_value_t = OrganizationRole::Member, add = complete::organization_roles())]
        role: OrganizationRole,
        #[command(flatten)]
        password: Password,
    },
    /// Gives a person another role in the organization.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill user set grace@example.org --role administrator", "waybill user set usr_01jd8m… --role member"))]
    Set {
        #[command(flatten)]
        who: Person,
        /// owner, administrator or member; at most as high as your own.
        #[arg(long, value_name = "ROLE", add = complete::organization_roles())]
        role: OrganizationRole,
    },
    /// Makes a link by which a person chooses a new password, and prints it, this once. It is good once.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill user reset-password grace@example.org", "waybill user reset-password usr_01jd8m… -o json"))]
    ResetPassword {
        #[command(flatten)]
        who: Person,
        /// How many hours it is good for, 1 to 24.
        #[arg(long, default_value_t = 1)]
        hours: u8,
    },
    /// Disables a person: every session ends at once, and no login is taken.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill user disable grace@example.org", "waybill user disable usr_01jd8m…"))]
    Disable(Person),
    /// Lets a disabled person log in again.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill user enable grace@example.org", "waybill user enable usr_01jd8m…"))]
    Enable(Person),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Member {
    /// Lists the members of the project. Owners and administrators of the organization are not among them, unless it took them in.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill member list", "waybill member list --project prod -o json"))]
    List(Limit),
    /// Takes a person of the organization into the project.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill member add grace@example.org --role editor", "waybill member add grace@example.org --role viewer --project prod"))]
    Add {
        /// E-mail address.
        #[arg(value_name = "ADDRESS", add = complete::people())]
        email: String,
        /// owner, admin, editor, operator or viewer; at most as high as your own.
        #[arg(long, value_name = "ROLE", add = complete::project_roles())]
        role: ProjectRole,
    },
    /// Gives a member another role in the project.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill member set grace@example.org --role operator", "waybill member set usr_01jd8m… --role viewer --project prod"))]
    Set {
        #[command(flatten)]
        who: Person,
        /// owner, admin, editor, operator or viewer; at most as high as your own.
        #[arg(long, value_name = "ROLE", add = complete::project_roles())]
        role: ProjectRole,
    },
    /// Takes a member out of the project.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill member remove grace@example.org", "waybill member remove usr_01jd8m… --project prod"))]
    Remove(Person),
}
