//! The Postgres source against a real server: exact values, one snapshot, windows, faults, hostile input.

mod changed;
mod client_certificates;
mod consistency;
mod faults;
mod filters;
mod formats;
mod hostile;
pub(crate) mod landed;
mod literals;
mod memory;
mod origins;
mod postgis;
mod readers;
mod refused;
mod sessions;
mod standby;
mod tables;
pub(crate) mod tls;
mod types;
mod values;
mod windows;
mod wires;
mod xmin;

use waybill_connectors::source::postgres::PostgresSource;
use waybill_model::plan::{Postgres as Settings, TlsMode};
use waybill_tests::services::postgres::Postgres;

use crate::reading::{Read, drain, full, read, read_after, stream, want};

pub(crate) fn settings(port: u16) -> Settings {
    Settings {
        host: "127.0.0.1".into(),
        port,
        database: "postgres".into(),
        user: "postgres".into(),
        password: None,
        tls: TlsMode::Disable,
        ca: None,
        client_cert: None,
        client_key: None,
        ssh: None,
    }
}

fn source_at(port: u16) -> PostgresSource {
    PostgresSource::new(&settings(port), None, "run_test").expect("a source")
}

fn source(server: &Postgres) -> PostgresSource {
    source_at(server.port())
}

/// A source for another role of the server.
fn source_as(server: &Postgres, user: &str) -> PostgresSource {
    let settings = Settings { user: user.into(), ..settings(server.port()) };
    PostgresSource::new(&settings, None, "run_test").expect("a source")
}
