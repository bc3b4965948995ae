//! The merge of a `changed` stream, copy on write: which of the table's rows the new ones take the place of, and the
//! files without those rows.
//!
//! A file that holds such a row is written again without it; all others stay as they are. In memory are digests of keys
//! and a bit per row; where they do not fit, the files are gone over several times. It decides nothing of the commit, and
//! what it wrote is garbage until one names it.

mod keys;
mod object;
mod table_file;

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Schema};
use tokio::runtime::Handle;
use waybill_model::FailureCode;

pub(crate) use self::keys::check as check_key;
use self::keys::{Digests, KeySet, columns_at};
use self::table_file::TableFile;
use crate::commit::{DataFile, Merged};
use crate::encode::{LaneWriter, Target, twin_name};
use crate::fault::Fault;
use crate::source::Batch;
use crate::stop::{End, StopSignal};

/// What a merge works with. Its calls block and belong on a blocking thread.
pub(crate) struct Work {
    /// Where and how files are written, with the twins that the table has.
    pub(crate) target: Target,
    /// Places of the key's columns in the target's schema.
    pub(crate) key: Vec<usize>,
    /// Bytes that bits and what is read may take.
    pub(crate) memory: usize,
    /// Bytes that digests may take.
    pub(crate) digests: usize,
    pub(crate) runtime: Handle,
    pub(crate) stop: StopSignal,
}

/// A file that readers see.
#[derive(Clone, Debug)]
pub(crate) struct Existing {
    /// As the log names it.
    pub(crate) path: String,
    /// Where it lies.
    pub(crate) key: String,
    pub(crate) size: u64,
    pub(crate) rows: u64,
}

impl Existing {
    fn of(file: &DataFile) -> Self {
        Self { path: String::new(), key: file.key.clone(), size: file.bytes, rows: file.rows }
    }
}

/// A bit per row of one file.
struct Bits {
    words: Vec<u64>,
    set: u64,
}

impl Bits {
    fn new(rows: u64) -> Self {
        Self { words: vec![0; usize::try_from(rows.div_ceil(64)).unwrap_or(usize::MAX)], set: 0 }
    }

    fn set(&mut self, row: usize) {
        if let Some(word) = self.words.get_mut(row / 64) {
            let bit = 1 << (row % 64);
            self.set += u64::from(*word & bit == 0);
            *word |= bit;
        }
    }

    fn is_set(&self, row: usize) -> bool {
        self.words.get(row / 64).is_some_and(|word| word & (1 << (row % 64)) != 0)
    }
}

/// Finds the rows of `existing` files that have a key of the `fresh` ones, and writes the others of their files anew.
pub(crate) fn merge(work: &Work, fresh: &[DataFile], existing: &[Existing]) -> Result<Merged, End> {
    let digests = Digests::of(&work.target.schema, &work.key)?;
    let (mut merged, mut taken) = (Merged::default(), 0);
    let mut writer = LaneWriter::new(work.target.clone(), work.runtime.clone(), work.stop.clone());
    for group in groups(existing, work.memory / 8) {
        for (file, bits) in group.iter().zip(find(work, &digests, fresh, group)?) {
            if bits.set == 0 {
                continue;
            }
            keep(work, file, &bits, &mut writer, &mut merged.kept)?;
            merged.replaced.push(file.path.clone());
            merged.rows_before += file.rows;
            taken += bits.set;
        }
    }
    writer.close(|file| merged.kept.push(file))?;
    if merged.taken() != taken {
        let (written, before) = (merged.rows_before - merged.taken(), merged.rows_before);
        let text = format!("{taken} of {before} rows are replaced, but {written} were kept");
        return Err(Fault::new(FailureCode::WorkerBug, text).into());
    }
    Ok(merged)
}

/// The files in runs whose bits fit; a file of more rows makes a run of its own.
fn groups(files: &[Existing], memory: usize) -> Vec<&[Existing]> {
    let most = memory as u64 * 8;
    let mut groups = Vec::new();
    let (mut from, mut rows) = (0, 0);
    for (at, file) in files.iter().enumerate() {
        if at > from && rows + file.rows > most {
            groups.push(&files[from..at]);
            (from, rows) = (at, 0);
        }
        rows += file.rows;
    }
    groups.push(&files[from..]);
    groups
}

/// The rows of each file that are replaced.
fn find(work: &Work, digests: &Digests, fresh: &[DataFile], files: &[Existing]) -> Result<Vec<Bits>, End> {
    let wanted: Vec<(String, DataType)> = work.key.iter().map(|at| column(&work.target.schema, *at)).collect();
    let mut found: Vec<Bits> = files.iter().map(|file| Bits::new(file.rows)).collect();
    let keys: u64 = fresh.iter().map(|file| file.rows).sum();
    let shares = KeySet::shares(keys, work.digests);
    for share in 0..shares {
        let set = KeySet::of((share, shares, keys), |set| {
            let scanned = fresh
                .iter()
                .map(|file| scan(work, digests, &Existing::of(file), &wanted, |_, digest| set.take(digest)).map(drop));
            scanned.collect::<Result<(), End>>()
        })?;
        for (file, bits) in files.iter().zip(&mut found) {
            let rows = scan(work, digests, file, &wanted, |row, digest| {
                if set.has(digest) {
                    bits.set(row);
                }
            })?;
            if rows as u64 != file.rows {
                let text = format!("{} holds {rows} rows and the log says {}", file.key, file.rows);
                return Err(Fault::new(FailureCode::TableChangedByOther, text).into());
            }
        }
    }
    Ok(found)
}

/// Goes over the keys of a file; returns its rows.
fn scan(
    work: &Work,
    digests: &Digests,
    file: &Existing,
    wanted: &[(String, DataType)],
    mut take: impl FnMut(usize, u128),
) -> Result<usize, End> {
    let mut open = TableFile::open(work, file, wanted)?;
    let mut before = 0;
    while let Some((rows, columns)) = open.next()? {
        digests.each(&columns, |row, digest| take(before + row, digest))?;
        before += rows;
        halted(&work.stop)?;
    }
    Ok(before)
}

/// Writes the rows of a file that are not replaced.
fn keep(
    work: &Work,
    file: &Existing,
    bits: &Bits,
    writer: &mut LaneWriter,
    kept: &mut Vec<DataFile>,
) -> Result<(), End> {
    if bits.set == file.rows {
        return Ok(());
    }
    let schema = &work.target.schema;
    let twins = work.target.twins.places();
    let base = schema.fields().len();
    let texts = twins.iter().map(|at| (twin_name(schema.field(*at).name()), DataType::Utf8));
    let wanted: Vec<_> = (0..base).map(|at| column(schema, at)).chain(texts).collect();
    let mut open = TableFile::open(work, file, &wanted)?;
    let mut before = 0;
    while let Some((rows, columns)) = open.next()? {
        let stays = BooleanArray::from_iter((before..before + rows).map(|row| Some(!bits.is_set(row))));
        before += rows;
        let batch = batch(schema, &columns, &twins, &stays)?;
        writer.write(&batch, |file| kept.push(file))?;
        halted(&work.stop)?;
    }
    Ok(())
}

fn halted(stop: &StopSignal) -> Result<(), End> {
    stop.halt().map_or(Ok(()), |halt| Err(halt.into()))
}

fn column(schema: &Schema, at: usize) -> (String, DataType) {
    let field = schema.field(at);
    (field.name().clone(), field.data_type().clone())
}

/// The rows that stay, with their twins.
fn batch(schema: &Arc<Schema>, columns: &[ArrayRef], twins: &[usize], stays: &BooleanArray) -> Result<Batch, End> {
    let bug = |_| Fault::new(FailureCode::WorkerBug, "rows of the table do not fit its own schema");
    let base = schema.fields().len();
    let places: Vec<usize> = (0..base).collect();
    let rows = RecordBatch::try_new(Arc::clone(schema), columns_at(columns, &places)).map_err(bug)?;
    let rows = filter_record_batch(&rows, stays).map_err(bug)?;
    let mut texts = Vec::with_capacity(twins.len());
    for (twin, at) in columns[base..].iter().zip(twins) {
        let kept = arrow::compute::filter(twin, stays).map_err(bug)?;
        texts.push((*at, kept.as_string::<i32>().clone()));
    }
    Ok(Batch { rows, twins: texts, coerced: Vec::new() })
}
