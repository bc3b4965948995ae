//! Records of CSV by RFC 4180. Texts always stand in quotes, so that an empty one differs from a NULL, of which nothing is
//! written; numbers, truths and times never do.

use std::io::{self, Write};

use arrow::array::Array;
use arrow::datatypes::SchemaRef;

use super::cell::{Cell, bare};
use super::{jsonl, unknown};

/// Bytes that are turned to digits at once.
const BYTES: usize = 512;

/// The names of the columns.
pub(super) fn header(schema: &SchemaRef, out: &mut impl Write) -> io::Result<()> {
    for (at, field) in schema.fields().iter().enumerate() {
        separate(at, out)?;
        quoted(out, |inside| inside.write_all(field.name().as_bytes()))?;
    }
    out.write_all(b"\r\n")
}

/// One row.
pub(super) fn record(columns: &[&dyn Array], row: usize, out: &mut impl Write) -> io::Result<()> {
    for (at, column) in columns.iter().enumerate() {
        separate(at, out)?;
        field(*column, row, out)?;
    }
    out.write_all(b"\r\n")
}

fn separate(at: usize, out: &mut impl Write) -> io::Result<()> {
    if at > 0 { out.write_all(b",") } else { Ok(()) }
}

fn field(column: &dyn Array, row: usize, out: &mut impl Write) -> io::Result<()> {
    match Cell::at(column, row).ok_or_else(unknown)? {
        Cell::Text(text) => quoted(out, |inside| inside.write_all(text.as_bytes())),
        Cell::Bytes(bytes) => quoted(out, |inside| hex(bytes, inside)),
        Cell::List(_) | Cell::Struct(_) => quoted(out, |inside| jsonl::value(column, row, inside)),
        other => bare(&other, out),
    }
}

fn hex(bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
    let mut digits = [0; 2 * BYTES];
    for chunk in bytes.chunks(BYTES) {
        let digits = &mut digits[..2 * chunk.len()];
        hex::encode_to_slice(chunk, digits).map_err(io::Error::other)?;
        out.write_all(digits)?;
    }
    Ok(())
}

/// What `write` writes, between quotes.
fn quoted<W: Write>(out: &mut W, write: impl FnOnce(&mut Doubled<'_, W>) -> io::Result<()>) -> io::Result<()> {
    out.write_all(b"\"")?;
    write(&mut Doubled(out))?;
    out.write_all(b"\"")
}

/// Inside quotes: a quote is written twice.
struct Doubled<'a, W>(&'a mut W);

impl<W: Write> Write for Doubled<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == b'"') {
            self.0.write_all(&rest[..=at])?;
            self.0.write_all(b"\"")?;
            rest = &rest[at + 1..];
        }
        self.0.write_all(rest)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
