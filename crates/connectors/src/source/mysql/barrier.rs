//! Several connections that see the same: they open their snapshots while nobody can write to the table, and the server's own
//! log position proves that no transaction came between them.
//!
//! The lock is held for milliseconds, and asked for with a short wait, since writers queue behind whoever waits for it. Where
//! it can't be had, or the positions differ on every try, one connection reads alone; never several without proof.

use std::time::Duration;

use futures::future::try_join_all;
use tokio::time::timeout;
use waybill_model::FailureCode;
use waybill_pipeline::{Fault, FaultResult};

use super::catalog::Relation;
use super::connect::{Address, is_full};
use super::refusal::{Exchange, Failure};
use super::session::{self, Hello};
use super::wire::Wire;
use crate::source::server::reach::Goal;

/// How often positions are compared within one lock.
const TRIES: usize = 5;
/// What the whole under the lock may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connections that see the same.
pub(super) struct Joined {
    pub(super) wires: Vec<Wire>,
    /// The server's position in its log at which all of them stand.
    pub(super) position: String,
}

/// Connections that must be given for two of them to read: one locks, and is gone when they begin.
const LEAST: usize = 3;

/// Opens connections with one view, so many that with the one that locks they are as many as were given; none where they can't
/// be had or can't be proven to see the same. `locker` has no lock afterwards.
pub(super) async fn join(
    address: &Address,
    at: Goal,
    relation: &Relation,
    (hello, given, locker): (&Hello, usize, &mut Wire),
) -> FaultResult<Option<Joined>> {
    if given < LEAST
        || !hello.is_mariadb
        || !relation.is_innodb()
        || relation.is_view
        || position(locker).await?.is_none()
    {
        return Ok(None);
    }
    let (own, mut wires) = (server(locker).await?, Vec::new());
    while wires.len() + 1 < given {
        match ready(address, at).await? {
            Some(mut wire) => {
                if server(&mut wire).await? != own {
                    let text = "connections to this name reach different servers; name one of them";
                    return Err(Fault::new(FailureCode::SourceFailed, text));
                }
                wires.push(wire);
            }
            // No connection is free: fewer lanes are slower, not wrong.
            None => break,
        }
    }
    let joined = if wires.len() < 2 || !lock(locker, relation).await? {
        None
    } else {
        let joined = timeout(PATIENCE, open(&mut wires, relation)).await;
        locker.ask("UNLOCK TABLES").await?;
        joined.unwrap_or(Ok(None))?
    };
    match joined {
        Some(position) => Ok(Some(Joined { wires, position })),
        None => {
            for wire in wires {
                wire.quit().await;
            }
            locker.ask("SET SESSION lock_wait_timeout = 30").await?;
            Ok(None)
        }
    }
}

/// A session of its own; none where the server has no more.
async fn ready(address: &Address, at: Goal) -> FaultResult<Option<Wire>> {
    let mut wire = match address.connect_to(at).await {
        Ok(wire) => wire,
        Err(fault) if is_full(&fault) => return Ok(None),
        Err(fault) => return Err(fault),
    };
    session::greet(&mut wire).await?;
    Ok(Some(wire))
}

/// Locks the table against writers; false where that is not allowed or somebody has written and not ended yet.
async fn lock(wire: &mut Wire, relation: &Relation) -> FaultResult<bool> {
    wire.ask("SET SESSION lock_wait_timeout = 1").await?;
    match wire.ask(&format!("LOCK TABLES {} READ", relation.sql())).await {
        Ok(_) => Ok(true),
        Err(Failure::Server(_)) => Ok(false),
        Err(Failure::Fault(fault)) => Err(fault),
    }
}

/// Opens all snapshots until they stand at one position, and holds the table in each of them.
async fn open(wires: &mut [Wire], relation: &Relation) -> FaultResult<Option<String>> {
    for _ in 0..TRIES {
        let begun = wires.iter_mut().map(|wire| wire.ask("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"));
        try_join_all(begun).await?;
        let found = try_join_all(wires.iter_mut().map(position)).await?;
        let Some(Some(first)) = found.first() else { return Ok(None) };
        if found.iter().all(|position| position.as_ref() == Some(first)) {
            try_join_all(wires.iter_mut().map(|wire| session::hold(wire, relation))).await?;
            return Ok(Some(first.clone()));
        }
    }
    Ok(None)
}

/// Which server a session is on: behind an SSH server a name may lead to several.
async fn server(wire: &mut Wire) -> Exchange<String> {
    Ok(wire.ask_one("SELECT CONCAT_WS(' ', @@hostname, @@port, @@server_id, @@datadir)").await?.text(0)?)
}

/// Where this session's snapshot stands in the server's log; none where the server keeps none.
async fn position(wire: &mut Wire) -> Exchange<Option<String>> {
    let rows = wire.ask("SHOW STATUS LIKE 'binlog\\_snapshot\\_%'").await?;
    let value = |name: &str| -> FaultResult<Option<String>> {
        for row in &rows {
            if row.text(0)?.eq_ignore_ascii_case(name) {
                return Ok(row.opt(1)?.filter(|value| !value.is_empty()));
            }
        }
        Ok(None)
    };
    let (file, at) = (value("Binlog_snapshot_file")?, value("Binlog_snapshot_position")?);
    Ok(file.zip(at).map(|(file, at)| format!("{file}:{at}")))
}
