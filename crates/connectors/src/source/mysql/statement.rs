//! One prepared statement, whose rows come in the binary form and go into the decoder as they are.
//!
//! Its end counts only with the server's own end packet. A row is refused by its length before it is buffered.

use waybill_model::FailureCode;
use waybill_pipeline::{Fault, FaultResult};

use super::bytes::Bytes;
use super::decode::{Decoder, too_large};
use super::query::{Begun, begin};
use super::refusal::{Exchange, Failure, ServerError};
use super::wire::{Answer, Wire, answer};
use crate::source::server::malformed;

const PREPARE: u8 = 0x16;
const EXECUTE: u8 = 0x17;
const CLOSE: u8 = 0x19;

/// A statement whose rows are read.
pub(super) struct Rows {
    id: u32,
}

/// Why reading stopped.
pub(super) enum Stop {
    /// The batch must be taken.
    Full,
    /// All rows are there.
    Complete,
}

impl Rows {
    /// Prepares and executes a statement. Its columns must be what the decoder expects.
    pub(super) async fn begin(wire: &mut Wire, sql: &str, into: &Decoder) -> Exchange<Self> {
        let id = prepare(wire, sql).await?;
        let mut body = id.to_le_bytes().to_vec();
        // No cursor on the server: rows are sent as they are found. Executed once.
        body.extend_from_slice(&[0, 1, 0, 0, 0]);
        wire.command(EXECUTE, &body).await?;
        let Begun::Rows(count) = begin(wire).await? else {
            return Err(malformed("a statement that reads gave no rows").into());
        };
        if count != into.columns() {
            return Err(malformed("an answer has another number of columns than was asked for").into());
        }
        for at in 0..count {
            let packet = wire.packet().await?;
            if !into.takes(at, type_of(&packet)?) {
                let text =
                    "a column has another type than the catalogue said: the table was altered while the run began";
                return Err(Fault::new(FailureCode::SourceChanged, text).into());
            }
        }
        expect_end(wire).await?;
        Ok(Self { id })
    }

    /// Reads until the batch is full or there are no more rows.
    pub(super) async fn read(&mut self, wire: &mut Wire, into: &mut Decoder) -> FaultResult<Stop> {
        loop {
            let stop = wire.each_at_hand(|packet| take(packet, into))?;
            let stop = match stop {
                Some(stop) => stop,
                None => {
                    // What is at hand is no whole packet.
                    let packet = wire.packet_within(into.row_bytes(), too_large).await?;
                    match take(&packet, into)? {
                        Some(stop) => stop,
                        None => continue,
                    }
                }
            };
            if matches!(stop, Stop::Complete) {
                wire.command(CLOSE, &self.id.to_le_bytes()).await?;
            }
            return Ok(stop);
        }
    }
}

fn take(packet: &[u8], into: &mut Decoder) -> FaultResult<Option<Stop>> {
    match answer(packet)? {
        Answer::Data([0, row @ ..]) => {
            into.row(row)?;
            Ok(into.is_full().then_some(Stop::Full))
        }
        Answer::Data(_) => Err(malformed("an unexpected message among rows")),
        Answer::End => Ok(Some(Stop::Complete)),
        Answer::Error(error) => Err(error.into()),
    }
}

async fn prepare(wire: &mut Wire, sql: &str) -> Exchange<u32> {
    wire.command(PREPARE, sql.as_bytes()).await?;
    let packet = wire.packet().await?;
    if packet.first() == Some(&0xff) {
        return Err(Failure::Server(ServerError::parse(&packet)));
    }
    let mut bytes = Bytes::new(&packet);
    let (status, id, columns, parameters) = (bytes.byte()?, bytes.u32()?, bytes.u16()?, bytes.u16()?);
    if status != 0 || parameters != 0 {
        return Err(malformed("a statement was prepared for something else").into());
    }
    if columns > 0 {
        for _ in 0..columns {
            wire.packet().await?;
        }
        expect_end(wire).await?;
    }
    Ok(id)
}

async fn expect_end(wire: &mut Wire) -> Exchange<()> {
    match answer(&wire.packet().await?)? {
        Answer::End => Ok(()),
        Answer::Error(error) => Err(Failure::Server(error)),
        Answer::Data(_) => Err(malformed("the columns of an answer have no end").into()),
    }
}

/// The type in a column's definition.
fn type_of(packet: &[u8]) -> FaultResult<u8> {
    let mut bytes = Bytes::new(packet);
    // Catalogue, schema, table, original table, name, original name.
    for _ in 0..6 {
        bytes.string()?;
    }
    let mut fixed = Bytes::new(bytes.string()?);
    fixed.u16()?;
    fixed.u32()?;
    fixed.byte()
}
