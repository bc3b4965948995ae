//! The merge of a `changed` stream, copy on write: which of the table's rows the new ones take the place of, which the source
//! has no more, and the files without those rows.
//!
//! A file that holds such a row is written again without it; all others stay as they are. In memory are digests of keys
//! and a bit per row; where they do not fit, the files are gone over several times. It decides nothing of the commit, and
//! what it wrote is garbage until one names it.

mod keys;
mod object;
mod source_keys;
mod sweep;
mod table_file;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Schema, TimestampMicrosecondType};
use tokio::runtime::Handle;
use waybill_model::FailureCode;

pub(crate) use self::keys::check as check_key;
use self::keys::{KeySet, columns_at};
pub(crate) use self::source_keys::{KeyRequest, SourceKeys, whole as check_whole};
pub(crate) use self::sweep::Sweep;
pub use self::sweep::guard_deletes;
use self::sweep::{Absent, Sums};
use self::table_file::TableFile;
use crate::commit::{DataFile, Merged};
use crate::digests::Digests;
use crate::encode::{LaneWriter, Target, twin_name};
use crate::fault::{Fault, FaultResult};
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
    /// What is done with rows that the source has no more; none where nobody asks.
    pub(crate) sweep: Option<Sweep>,
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
    /// Its partition's values: another writer leaves their columns out of the file.
    pub(crate) partition: BTreeMap<String, Option<String>>,
}

impl Existing {
    fn of(file: &DataFile) -> Self {
        let partition = BTreeMap::new(); // its columns are in the file
        Self { path: String::new(), key: file.key.clone(), size: file.bytes, rows: file.rows, partition }
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

    /// Rows whose bits fit so many bytes.
    const fn rows_in(memory: usize) -> u64 {
        memory as u64 * 8
    }

    fn is_set(&self, row: usize) -> bool {
        self.words.get(row / 64).is_some_and(|word| word & (1 << (row % 64)) != 0)
    }
}

/// What becomes of the rows of one file.
struct Fate {
    /// Their place is taken by new ones.
    taken: Bits,
    absent: Absent,
}

impl Fate {
    fn of(file: &Existing) -> Self {
        Self { taken: Bits::new(file.rows), absent: Absent::default() }
    }

    fn changes_nothing(&self) -> bool {
        self.taken.set == 0 && self.absent.changes_nothing()
    }

    fn stays(&self, row: usize) -> bool {
        !self.taken.is_set(row) && !self.absent.is_removed(row)
    }
}

/// Goes over the rows of files that were just written, as far as these columns go, by name; a column that a file lacks is NULL.
pub(crate) fn read_back(
    work: &Work,
    files: &[DataFile],
    wanted: &[(String, DataType)],
    mut take: impl FnMut(&[ArrayRef]) -> FaultResult<()>,
) -> Result<(), End> {
    for file in files {
        let mut there = TableFile::open(work, &Existing::of(file), wanted)?;
        let mut read = 0;
        while let Some((rows, columns)) = there.next()? {
            take(&columns)?;
            read += rows as u64;
        }
        if read != file.rows {
            return Err(Fault::new(FailureCode::WorkerBug, "a file gives other rows than were written").into());
        }
    }
    Ok(())
}

/// Finds the rows of `existing` files that have a key of the `fresh` ones, and those whose key the source has no more where that
/// is asked for, and writes the others of their files anew.
pub(crate) fn merge(work: &Work, fresh: &[DataFile], existing: &[Existing]) -> Result<Merged, End> {
    let digests = keys::digests(&work.target.schema, &work.key)?;
    let merging = Merging { work, fresh, digests: &digests };
    let sums = work.sweep.as_ref().map(|sweep| merging.compare(sweep, existing)).transpose()?;
    if fresh.is_empty() && sums.as_ref().is_none_or(Sums::are_alike) {
        return Ok(Merged::default());
    }
    let (mut merged, mut dropped) = (Merged::default(), 0);
    let mut writer = LaneWriter::new(work.target.clone(), work.runtime.clone(), work.stop.clone());
    // Of each row it is known whether it is taken, whether it is gone and whether it is back.
    for group in groups(existing, work.memory / if sums.is_some() { 24 } else { 8 }) {
        let mut fates = merging.find(group)?;
        if let (Some(sweep), Some(sums)) = (&work.sweep, &sums) {
            merging.look_for_absent(sweep, sums, group, &mut fates)?;
            let gone = merged.removed + merged.marked + fates.iter().map(|fate| fate.absent.gone()).sum::<u64>();
            guard_deletes(gone, sums.live(), sweep.shrink_guard)?;
        }
        for (file, fate) in group.iter().zip(&fates).filter(|(_, fate)| !fate.changes_nothing()) {
            keep(work, file, fate, &mut writer, &mut merged.kept)?;
            merged.replaced.push(file.path.clone());
            merged.rows_before += file.rows;
            merged.removed += fate.absent.removed();
            merged.marked += fate.absent.marked();
            merged.unmarked += fate.absent.unmarked();
            dropped += fate.taken.set + fate.absent.removed();
        }
    }
    writer.close(|file| merged.kept.push(file))?;
    if merged.dropped() != dropped {
        let (written, before) = (merged.rows_before - merged.dropped(), merged.rows_before);
        let text = format!("{dropped} of {before} rows are replaced or removed, but {written} were kept");
        return Err(Fault::new(FailureCode::WorkerBug, text).into());
    }
    Ok(merged)
}

/// The files in runs whose bits fit; a file of more rows makes a run of its own.
fn groups(files: &[Existing], memory: usize) -> Vec<&[Existing]> {
    let most = Bits::rows_in(memory);
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

/// A merge under way.
struct Merging<'a> {
    work: &'a Work,
    fresh: &'a [DataFile],
    digests: &'a Digests,
}

/// A row of a file that is looked at: the file's place, the row's, its key's digest, and whether it has the mark.
struct Seen {
    file: usize,
    row: usize,
    digest: u128,
    is_marked: bool,
}

impl Merging<'_> {
    /// The rows of each file that are replaced.
    fn find(&self, files: &[Existing]) -> Result<Vec<Fate>, End> {
        let mut found: Vec<Fate> = files.iter().map(Fate::of).collect();
        if self.fresh.is_empty() {
            return Ok(found);
        }
        self.each_share(files, |set, seen| {
            if set.has(seen.digest) {
                found[seen.file].taken.set(seen.row);
            }
        })?;
        Ok(found)
    }

    /// Sums up the keys of the source and those that the table will hold, share by share of the new rows' keys.
    fn compare(&self, sweep: &Sweep, existing: &[Existing]) -> Result<Sums, End> {
        let mut sums = Sums::new(self.work.digests / 4);
        for fresh in self.fresh {
            scan(self.work, self.digests, &Existing::of(fresh), None, |_, digest, _| sums.in_table(digest))?;
        }
        self.each_share(existing, |set, seen| {
            if set.is_here(seen.digest) && !seen.is_marked {
                sums.lives();
                if !set.has(seen.digest) {
                    sums.in_table(seen.digest);
                }
            }
        })?;
        sweep.keys.each(self.work, self.digests, |digest| sums.in_source(digest))?;
        Ok(sums)
    }

    /// Goes over the files once for each share of the new rows' keys.
    fn each_share(&self, files: &[Existing], mut take: impl FnMut(&KeySet, Seen)) -> Result<(), End> {
        let keys: u64 = self.fresh.iter().map(|file| file.rows).sum();
        let shares = KeySet::shares(keys, self.work.digests / if self.work.sweep.is_some() { 2 } else { 1 });
        for share in 0..shares {
            let set = KeySet::of((share, shares, keys), |set| {
                self.fresh.iter().try_for_each(|file| {
                    scan(self.work, self.digests, &Existing::of(file), None, |_, digest, _| set.take(digest))
                })
            })?;
            self.each_row(files, |seen| take(&set, seen))?;
        }
        Ok(())
    }

    /// Goes over the keys of the table's files, which hold the rows that the log says.
    fn each_row(&self, files: &[Existing], mut take: impl FnMut(Seen)) -> Result<(), End> {
        let mark = self.work.sweep.as_ref().and_then(|sweep| sweep.mark);
        for (at, file) in files.iter().enumerate() {
            let mut rows = 0;
            scan(self.work, self.digests, file, mark, |row, digest, is_marked| {
                rows = row as u64 + 1;
                take(Seen { file: at, row, digest, is_marked });
            })?;
            if rows != file.rows {
                let text = format!("{} holds {rows} rows and the log says {}", file.key, file.rows);
                return Err(Fault::new(FailureCode::TableChangedByOther, text).into());
            }
        }
        Ok(())
    }
}

/// Goes over the keys of a file, and over the column with the mark where one is named.
fn scan(
    work: &Work,
    digests: &Digests,
    file: &Existing,
    mark: Option<usize>,
    mut take: impl FnMut(usize, u128, bool),
) -> Result<(), End> {
    let wanted: Vec<_> = work.key.iter().chain(&mark).map(|at| column(&work.target.schema, *at)).collect();
    let mut open = TableFile::open(work, file, &wanted)?;
    let mut before = 0;
    while let Some((rows, columns)) = open.next()? {
        let (key, marks) = columns.split_at(work.key.len());
        digests.each(key, |row, digest| take(before + row, digest, marks.iter().any(|marks| marks.is_valid(row))))?;
        before += rows;
        halted(&work.stop)?;
    }
    Ok(())
}

/// Writes the rows of a file that stay.
fn keep(
    work: &Work,
    file: &Existing,
    fate: &Fate,
    writer: &mut LaneWriter,
    kept: &mut Vec<DataFile>,
) -> Result<(), End> {
    if fate.taken.set + fate.absent.removed() == file.rows {
        return Ok(());
    }
    let schema = &work.target.schema;
    let twins = work.target.twins.places();
    let base = schema.fields().len();
    let texts = twins.iter().map(|at| (twin_name(schema.field(*at).name()), DataType::Utf8));
    let wanted: Vec<_> = (0..base).map(|at| column(schema, at)).chain(texts).collect();
    let mut open = TableFile::open(work, file, &wanted)?;
    let mut before = 0;
    while let Some((rows, mut columns)) = open.next()? {
        if let Some(sweep) = &work.sweep
            && let Some(mark) = sweep.mark
        {
            columns[mark] = marks(sweep, &fate.absent, &columns[mark], before);
        }
        let stays = BooleanArray::from_iter((before..before + rows).map(|row| Some(fate.stays(row))));
        before += rows;
        let batch = batch(schema, &columns, &twins, &stays)?;
        writer.write(&batch, |file| kept.push(file))?;
        halted(&work.stop)?;
    }
    Ok(())
}

/// The marks of rows from `before` on, as they are from now on.
fn marks(sweep: &Sweep, absent: &Absent, were: &ArrayRef, before: usize) -> ArrayRef {
    let were = were.as_primitive::<TimestampMicrosecondType>();
    let now = were.iter().zip(before..).map(|(was, row)| {
        if absent.is_marked(row) { Some(sweep.at) } else { was.filter(|_| !absent.is_unmarked(row)) }
    });
    Arc::new(now.collect::<TimestampMicrosecondArray>().with_data_type(were.data_type().clone()))
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
    Ok(Batch { twins: texts, ..Batch::exact(rows) })
}
