//! Which table of a database a stream's rows are written to, and which one they come from.

use super::{StreamPlan, System};
use crate::name::{self, NoName};

impl StreamPlan {
    /// Schema and table of a PostgreSQL, where the rows come from this source: `table`, or the stream's own name as its source
    /// reads it.
    pub fn postgres_table(&self, source: &System) -> Result<(String, String), NoName> {
        let (schema, table) = match &self.table {
            Some(table) => name::parse(table, name::folded)?,
            None => self.own_name(source)?,
        };
        Ok((schema.unwrap_or_else(|| "public".to_owned()), table))
    }

    /// What this source reads rows from, in one spelling of several where it is a table. Which table of a PostgreSQL a name
    /// without a schema is, its role's search path says: it is none of those with one.
    #[must_use]
    pub fn source_table(&self, source: &System) -> String {
        let home = match source {
            System::Postgres(_) => None,
            System::MySql(server) => Some(server.database.clone()),
            _ => return self.name.clone(),
        };
        match self.own_name(source).map(|(schema, table)| (schema.or(home), table)) {
            Ok((Some(schema), table)) => name::shown(&schema, &table),
            Ok((None, table)) => name::quoted(&table),
            Err(_) => self.name.clone(),
        }
    }

    /// The schema, where one is written, and the table, as this source reads the stream's name.
    fn own_name(&self, source: &System) -> Result<(Option<String>, String), NoName> {
        match source {
            System::Sqlite { .. } => Ok((None, self.name.clone())),
            System::MySql(_) => name::parse(&self.name, |c| c),
            System::Postgres(_) => name::parse(&self.name, name::folded),
            _ => Err(NoName::Path),
        }
    }
}
