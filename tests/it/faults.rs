//! Faults of whole runs on real processes: workers that sleep, leave, start late or are cut off, orchestrators that race.
//!
//! Each test asserts that its fault fired, and that the committed rows equal the source's.

mod credentials;
mod database;
mod drain;
mod endings;
mod expected;
mod files;
mod frozen;
mod full_disk;
pub(crate) mod lake;
mod launches;
mod link;
mod outage;
mod race;
mod renewal;
mod restored;
mod source;
mod store;
pub(crate) mod versions;

/// Waits until no lease of an attempt in this database of an orchestrator holds any more; bounded by the test runner.
async fn until_no_lease_holds(database: &std::path::Path) -> anyhow::Result<()> {
    let file = rusqlite::Connection::open(database)?;
    let left = "select count(*) from attempt where lease_until > cast(unixepoch('subsec') * 1000000 as integer)";
    while file.query_row(left, [], |row| row.get::<_, i64>(0))? > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Ok(())
}
