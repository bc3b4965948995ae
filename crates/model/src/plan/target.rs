//! Which table of a database a stream's rows are written to.

use super::{StreamPlan, System};
use crate::name::{self, NoName};

impl StreamPlan {
    /// Schema and table of a PostgreSQL, where the rows come from this source: `table`, or the stream's own name as its source
    /// reads it.
    pub fn postgres_table(&self, source: &System) -> Result<(String, String), NoName> {
        let (schema, table) = match (&self.table, source) {
            (Some(table), _) => name::parse(table, name::folded)?,
            (None, System::Sqlite { .. }) => (None, self.name.clone()),
            (None, System::MySql(_)) => name::parse(&self.name, |c| c)?,
            (None, System::Postgres(_)) => name::parse(&self.name, name::folded)?,
            (None, _) => return Err(NoName::Path),
        };
        Ok((schema.unwrap_or_else(|| "public".to_owned()), table))
    }
}
