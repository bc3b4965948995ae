//! The MySQL source against a real MariaDB: exact values, one snapshot, windows, faults, hostile input.

mod bulk;
mod changed;
mod consistency;
mod faults;
mod hostile;
pub(crate) mod landed;
mod refused;
mod sessions;
mod tls;
mod values;
mod windows;

use std::sync::Arc;

use waybill_connectors::source::mysql::MySqlSource;
use waybill_model::plan::{MySql as Settings, TlsMode};
use waybill_pipeline::Fixed;
use waybill_tests::services::mariadb::MariaDb;

use crate::reading::{Read, drain, full, read, read_after, stream, want};

/// The account that docs/mysql.md tells to make, with all that it may be granted.
const READER: &str =
    "CREATE USER reader@'127.0.0.1' IDENTIFIED BY 'right'; GRANT SELECT, SHOW VIEW ON shop.* TO reader@'127.0.0.1';
    GRANT PROCESS ON *.* TO reader@'127.0.0.1'; GRANT LOCK TABLES ON shop.* TO reader@'127.0.0.1'";

/// A server with its reader.
pub(crate) fn server() -> MariaDb {
    let server = MariaDb::start();
    server.run(READER);
    server
}

pub(crate) fn settings(port: u16, user: &str) -> Settings {
    Settings {
        host: "127.0.0.1".into(),
        port,
        database: "shop".into(),
        user: user.into(),
        password: None,
        tls: TlsMode::Disable,
        ca: None,
        client_cert: None,
        client_key: None,
        ssh: None,
    }
}

/// A source for an account of the server whose password is `right`.
fn source_as(port: u16, user: &str) -> MySqlSource {
    MySqlSource::new(&settings(port, user), Some(Arc::new(Fixed::new("right"))), "run_test").expect("a source")
}

fn source_at(port: u16) -> MySqlSource {
    source_as(port, "reader")
}

fn source(server: &MariaDb) -> MySqlSource {
    source_at(server.port())
}
