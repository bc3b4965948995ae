//! How a field of a Postgres type becomes text or bytes.

use waybill_model::plan::TextPolicy;
use waybill_pipeline::FaultResult;

use super::numeric;
use crate::source::column::Done;
use crate::source::column::edge::Edges;
use crate::source::column::text::{Stored, Texts};
use crate::source::postgres::wire::malformed;

/// How a field becomes text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Bytes,
    Numeric,
    Uuid,
    Char,
    Jsonb,
    Json,
}

/// A column of text or bytes that is being filled.
pub(super) struct FormedTexts {
    form: Form,
    texts: Texts,
}

impl FormedTexts {
    pub(super) fn new(form: Form, policy: TextPolicy) -> Self {
        let stored = if form == Form::Bytes { Stored::Bytes } else { Stored::Text };
        Self { form, texts: Texts::new(stored, policy) }
    }

    #[inline]
    pub(super) fn push(&mut self, bytes: &[u8], edges: &mut Edges) -> FaultResult<usize> {
        match self.form {
            Form::Text | Form::Bytes => self.texts.push(bytes),
            Form::Numeric => self.texts.push_with(|out| numeric::write_text(bytes, out)),
            Form::Uuid => self.texts.push_with(|out| write_uuid(bytes, out)),
            Form::Char => match bytes {
                [0] => self.texts.push(&[]),
                [_] => self.texts.push(bytes),
                _ => Err(malformed("a field has another length than its type")),
            },
            Form::Jsonb => match bytes {
                [1, text @ ..] => self.texts.push(text),
                _ => Err(malformed("a jsonb field has a version that is not known")),
            },
            Form::Json => match bytes {
                [b'j', json @ ..] => self.texts.push(json),
                [b'x', text @ ..] => {
                    self.texts.push_null();
                    let text = self.texts.readable(text)?;
                    edges.meet(self.texts.rows() - 1, || text.into_owned())
                }
                _ => Err(malformed("a value of JSON came without its mark")),
            },
        }
    }

    pub(super) fn push_null(&mut self) {
        self.texts.push_null();
    }

    pub(super) fn finish(&mut self, edges: &mut Edges) -> FaultResult<Done> {
        self.texts.finish(edges)
    }
}

fn write_uuid(bytes: &[u8], out: &mut Vec<u8>) -> FaultResult<()> {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes: &[u8; 16] = bytes.try_into().map_err(|_| malformed("a uuid has not 16 bytes"))?;
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
    Ok(())
}
