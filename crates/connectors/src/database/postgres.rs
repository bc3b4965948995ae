//! PostgreSQL 14 and newer as a destination: rows go into one transaction by binary COPY, and become visible in it together
//! with the row of `_waybill_commit` that says so.
//!
//! What is on its way is a temporary table, or a table that nobody else can see yet: the server itself takes both back when
//! the session ends. It speaks the protocol through what the source of the same kind has. No error text holds a value.

mod clear;
mod copy;
mod encode;
mod fault;
mod index;
mod kind;
mod ledger;
mod merge;
mod relation;
mod session;
mod sweep;
mod table;

use std::sync::Arc;

use async_trait::async_trait;
use waybill_model::FailureCode;
use waybill_model::plan::{Postgres, System};
use waybill_pipeline::database::Wanted;
use waybill_pipeline::{Credential, Database, DatabaseTable, Fault, FaultResult};

use self::fault::of_target;
use self::table::PgTable;
use crate::dial::Dialer;
use crate::source::References;
use crate::source::postgres::connect::Address;
use crate::source::postgres::literal::TableName;
use crate::source::postgres::session::greet;
use crate::source::server::reach::shown;

/// How sessions are shown: otherwise than those that read, for whose windows a transaction of these counts as anybody's.
const WRITES: &str = "waybill-to";
/// The longest name that the server keeps whole, in bytes.
const NAME_BYTES: usize = 63;

/// A PostgreSQL server as a destination.
pub struct PostgresDatabase {
    address: Address,
    place: String,
}

impl PostgresDatabase {
    /// A destination for one connection, with ways to what the settings' references name. They are asked for before each
    /// log-in, and anew after they were refused. `run` shows in the server's list of sessions.
    pub fn with(
        settings: &Postgres,
        password: Option<Arc<dyn Credential>>,
        ways: &References,
        run: &str,
    ) -> FaultResult<Self> {
        let place = System::Postgres(settings.clone()).place();
        Ok(Self { address: Address::new(settings, password, ways, shown(WRITES, run))?, place })
    }

    /// The same through a dialer with rules of its own.
    #[must_use]
    pub fn through(mut self, dialer: Dialer) -> Self {
        self.address = self.address.through(dialer);
        self
    }
}

/// The table that a stream is written to.
fn table_of(wanted: &Wanted<'_>, own: &str) -> FaultResult<(String, String)> {
    let refused = |text: String| Err(Fault::new(FailureCode::SpecRefused, text));
    let (schema, table) = wanted.stream.postgres_table(wanted.source)?;
    if schema.len() > NAME_BYTES || table.len() > NAME_BYTES {
        return refused(format!("the server cuts names over {NAME_BYTES} bytes: name a shorter table with `table`"));
    }
    if table == ledger::TABLE || schema.starts_with("pg_") || schema == "information_schema" {
        return refused(format!("{schema}.{table} is no place for rows: name another table with `table`"));
    }
    if wanted.source.place() == own {
        let read = TableName::parse(&wanted.stream.name)?;
        if read.schema.as_deref().unwrap_or("public") == schema && read.table == table {
            let text = format!("{schema}.{table} is the table that is read: name another one with `table`");
            return refused(text);
        }
    }
    Ok((schema, table))
}

#[async_trait]
impl Database for PostgresDatabase {
    fn url(&self) -> String {
        self.place.clone()
    }

    async fn reach(&self) -> FaultResult<()> {
        let (mut wire, _) = self.address.connect().await.map_err(of_target)?;
        greet(&mut wire).await.map_err(of_target)?;
        wire.terminate().await;
        Ok(())
    }

    async fn open(&self, wanted: Wanted<'_>) -> FaultResult<Arc<dyn DatabaseTable>> {
        let (schema, table) = table_of(&wanted, &self.place)?;
        Ok(Arc::new(PgTable::open(self.address.clone(), (schema, table), wanted).await?))
    }
}
