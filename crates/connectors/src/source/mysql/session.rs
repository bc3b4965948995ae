//! What a session is told before it reads: isolation, the settings that keep values exact, and that it never writes.
//!
//! A table is held by a statement on it before the first row is read, so that nobody replaces it under the snapshot.

use waybill_model::FailureCode;
use waybill_pipeline::Fault;

use super::catalog::Relation;
use super::refusal::{Exchange, Failure};
use super::wire::Wire;

/// An empty mode makes backslashes escape and zero dates readable. Without a character set for results, text comes in the
/// bytes that are stored. A limit on rows or on joins may come from the server's own first statement for every session, or from its
/// global settings, which is what DEFAULT means.
const SETTINGS: &str = "SET SESSION sql_mode = '', time_zone = '+00:00', character_set_client = utf8mb4, \
    character_set_connection = utf8mb4, collation_connection = utf8mb4_general_ci, character_set_results = NULL, \
    sql_select_limit = 18446744073709551615, sql_big_selects = 1, wait_timeout = 604800, net_write_timeout = 3600, \
    net_read_timeout = 3600, lock_wait_timeout = 30, autocommit = 1, sql_quote_show_create = 1";

/// What only one of the two has: the worker's own phase bounds take the place of the server's. DEFAULT of `system_versioning_asof`
/// is the word for now, whatever the global one is.
const SETTINGS_MARIADB: &str = "SET SESSION max_statement_time = 0, idle_transaction_timeout = 0, \
    idle_readonly_transaction_timeout = 0, system_versioning_asof = DEFAULT";
const SETTINGS_MYSQL: &str = "SET SESSION max_execution_time = 0";

/// MySQL else tells for a day what it once knew of a table, such as its next number.
const FRESH_MYSQL: &str = "SET SESSION information_schema_stats_expiry = 0";
/// There is no setting of this name.
const UNKNOWN_SETTING: u16 = 1193;

/// From here on the server itself refuses to write.
const READ_ONLY: &str = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// What a session learns at its start.
pub(super) struct Hello {
    pub(super) is_mariadb: bool,
}

/// Sets a session up, and looks at the server before anything else.
pub(super) async fn greet(wire: &mut Wire) -> Exchange<Hello> {
    wire.ask(SETTINGS).await?;
    let version = wire.ask_one("SELECT VERSION()").await?.text(0)?;
    let is_mariadb = version.contains("MariaDB");
    if is_older(&version, if is_mariadb { (10, 4) } else { (8, 0) }) {
        let text = "this server is older than MariaDB 10.4 or MySQL 8.0";
        return Err(Fault::new(FailureCode::SpecRefused, text).into());
    }
    wire.ask(if is_mariadb { SETTINGS_MARIADB } else { SETTINGS_MYSQL }).await?;
    if !is_mariadb {
        match wire.ask(FRESH_MYSQL).await {
            Err(Failure::Server(error)) if error.number == UNKNOWN_SETTING => {}
            told => drop(told?),
        }
    }
    wire.ask(READ_ONLY).await?;
    Ok(Hello { is_mariadb })
}

fn is_older(version: &str, least: (u32, u32)) -> bool {
    // Some say 5.5.5- before their own version.
    let version = version.strip_prefix("5.5.5-").unwrap_or(version);
    let mut parts = version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) < least
}

/// Opens the transaction of a single connection. Its snapshot begins with the first row that it reads, which is here where the
/// engine has snapshots: after the lock on the table's definition.
pub(super) async fn begin(wire: &mut Wire, relation: &Relation) -> Exchange<()> {
    wire.ask("START TRANSACTION READ ONLY").await?;
    hold(wire, relation).await?;
    if relation.is_innodb() {
        wire.ask(&format!("SELECT 1 FROM {} LIMIT 1", relation.sql())).await?;
    }
    Ok(())
}

/// A statement that reads nothing, whose lock on the table's definition lasts as long as the transaction.
pub(super) async fn hold(wire: &mut Wire, relation: &Relation) -> Exchange<()> {
    wire.ask(&format!("SELECT 1 FROM {} LIMIT 0", relation.sql())).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(!is_older("10.11.6-MariaDB-0+deb12u1", (10, 4)) && !is_older("5.5.5-10.11.6-MariaDB", (10, 4)));
        assert!(is_older("10.3.39-MariaDB", (10, 4)) && is_older("5.7.44-log", (8, 0)));
        assert!(!is_older("8.0.40", (8, 0)) && !is_older("9.1.0", (8, 0)) && is_older("garbage", (8, 0)));
    }
}
