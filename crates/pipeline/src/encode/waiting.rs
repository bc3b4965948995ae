//! Rows of partitions whose file is not open: kept together until there are too many of them in memory.
//!
//! They lie in few batches, sorted by partition, so that many small partitions cost no more memory than few large ones. When room is
//! needed the partitions with the most rows go, until half of the rows are gone, and the others are packed anew.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::interleave;
use waybill_model::FailureCode;

use super::partition::Partition;
use crate::fault::{Fault, FaultResult};
use crate::source::Batch;

/// What a partition takes besides its rows and its values.
const PARTITION: usize = 256;
/// Files that one lane may write, whatever its memory.
const MOST: usize = 20_000;
/// Files that one lane may write where memory is short.
const LEAST: usize = 64;
/// What a file takes of a lane's memory until the commit that names it, about: its keys and digests.
const FILE: usize = 1 << 10;
/// And for each column: its name in three maps, and two values of up to 32 letters.
const COLUMN: usize = 448;
/// Bytes of rows that are encoded at once.
const PIECE: usize = 1 << 20;

/// Rows of one batch behind each other.
#[derive(Clone, Copy)]
struct Rows {
    batch: u32,
    from: u32,
    rows: u32,
}

/// A partition and where its rows lie.
type Part = (Partition, Vec<Rows>);

/// Rows that wait.
pub(super) struct Waiting {
    batches: Vec<Batch>,
    /// Where the rows of each partition lie.
    parts: BTreeMap<Partition, Vec<Rows>>,
    bytes: usize,
    /// Partitions that were handed out so far: each makes a file.
    given: usize,
    /// And the memory that the records of these files take, about.
    held: usize,
    /// And how much they may.
    memory: usize,
    columns: usize,
}

impl Waiting {
    /// For a lane with so much memory, and files of so many columns.
    pub(super) const fn new(memory: usize, columns: usize) -> Self {
        Self { batches: Vec::new(), parts: BTreeMap::new(), bytes: 0, given: 0, held: 0, memory, columns }
    }

    /// Keeps a batch whose rows are sorted by partition, so many of each.
    pub(super) fn add(&mut self, batch: Batch, parts: impl IntoIterator<Item = (Partition, usize)>) {
        self.bytes += batch.memory();
        let (at, mut from) = (narrow(self.batches.len()), 0);
        for (partition, rows) in parts {
            if !self.parts.contains_key(&partition) {
                self.bytes += PARTITION + partition.bytes();
            }
            let rows = narrow(rows);
            self.parts.entry(partition).or_default().push(Rows { batch: at, from, rows });
            self.bytes += size_of::<Rows>();
            from += rows;
        }
        self.batches.push(batch);
    }

    /// Memory that the rows take, about. Handing them out takes up to as much again.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Hands out the partitions with the most rows, half of all rows at least, in pieces that can be encoded one by one.
    pub(super) fn largest(&mut self) -> FaultResult<Vec<(Partition, Batch)>> {
        let mut parts: Vec<_> = std::mem::take(&mut self.parts).into_iter().collect();
        parts.sort_by_key(|(_, ranges)| std::cmp::Reverse(rows_of(ranges)));
        let all: usize = parts.iter().map(|(_, ranges)| rows_of(ranges)).sum();
        let mut rows = 0;
        let go = parts.iter().take_while(|(_, ranges)| {
            let goes = rows * 2 < all;
            rows += rows_of(ranges);
            goes
        });
        let stay = parts.split_off(go.count());
        self.hand_out(parts, stay)
    }

    /// Hands out all.
    pub(super) fn rest(&mut self) -> FaultResult<Vec<(Partition, Batch)>> {
        let parts = std::mem::take(&mut self.parts).into_iter().collect();
        self.hand_out(parts, Vec::new())
    }

    /// Counts the files of these partitions, whose records stay in memory until the commit.
    fn check_files(&mut self, go: &[Part]) -> FaultResult<()> {
        self.given += go.len();
        // The log has the values, and so has the key where they are short.
        let record = |(partition, _): &Part| FILE + COLUMN * self.columns + 2 * partition.bytes();
        self.held += go.iter().map(record).sum::<usize>();
        if self.given <= MOST && (self.given <= LEAST || self.held <= self.memory) {
            return Ok(());
        }
        let more = format!(
            "the rows have so many partitions, or come so mixed, that one lane alone would write {} files or more",
            self.given
        );
        let text = if self.given > MOST {
            format!("{more}, and {MOST} is the most: partition by something coarser")
        } else {
            format!(
                "{more}, and with {} columns the records of so many do not fit its memory: partition by something coarser, leave columns \
                 out, or give more memory (`limits.memory`)",
                self.columns
            )
        };
        Err(Fault::new(FailureCode::CommitTooLarge, text))
    }

    fn hand_out(&mut self, go: Vec<Part>, stay: Vec<Part>) -> FaultResult<Vec<(Partition, Batch)>> {
        self.check_files(&go)?;
        let gone = packed(&self.batches, &go)?;
        let kept = packed(&self.batches, &stay)?;
        (self.batches, self.bytes) = (Vec::new(), 0);
        if let Some(kept) = kept {
            self.add(kept, stay.into_iter().map(|(partition, ranges)| (partition, rows_of(&ranges))));
        }
        let Some(gone) = gone else { return Ok(Vec::new()) };
        let step = (gone.rows.num_rows() * PIECE / gone.memory().max(1)).max(1);
        let (mut pieces, mut from) = (Vec::with_capacity(go.len()), 0);
        for (partition, ranges) in go {
            let end = from + rows_of(&ranges);
            while from < end {
                let rows = step.min(end - from);
                pieces.push((partition.clone(), gone.slice(from, rows)));
                from += rows;
            }
        }
        Ok(pieces)
    }
}

fn rows_of(ranges: &[Rows]) -> usize {
    ranges.iter().map(|rows| rows.rows as usize).sum()
}

/// Batches and their rows are few: a batch is far smaller than 4 GiB.
fn narrow(many: usize) -> u32 {
    u32::try_from(many).unwrap_or(u32::MAX)
}

/// The rows of these partitions in one batch, in their order; none where there are no rows.
fn packed(batches: &[Batch], parts: &[Part]) -> FaultResult<Option<Batch>> {
    let Some(first) = batches.first().filter(|_| !parts.is_empty()) else { return Ok(None) };
    let ranges = parts.iter().flat_map(|(_, ranges)| ranges);
    let rows = ranges.flat_map(|at| (at.from..at.from + at.rows).map(move |row| (at.batch as usize, row as usize)));
    let places: Vec<(usize, usize)> = rows.collect();
    let bug = |_| Fault::new(FailureCode::WorkerBug, "batches of one stream do not fit together");
    let pack = |columns: Vec<ArrayRef>| {
        let columns: Vec<&dyn Array> = columns.iter().map(AsRef::as_ref).collect();
        interleave(&columns, &places).map_err(bug)
    };
    let schema = first.rows.schema();
    let columns =
        (0..schema.fields().len()).map(|at| pack(batches.iter().map(|b| b.rows.column(at).clone()).collect()));
    let rows = RecordBatch::try_new(schema, columns.collect::<FaultResult<_>>()?).map_err(bug)?;
    let mut twins: Vec<usize> = batches.iter().flat_map(|batch| batch.twins.iter().map(|(at, _)| *at)).collect();
    twins.sort_unstable();
    twins.dedup();
    let twin = |at: usize| {
        let texts = pack(batches.iter().map(|batch| batch.twin(at)).collect())?;
        Ok((at, texts.as_string::<i32>().clone()))
    };
    let twins: Vec<(usize, StringArray)> = twins.into_iter().map(twin).collect::<FaultResult<_>>()?;
    Ok(Some(Batch { twins, ..Batch::exact(rows) }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int64Array;
    use arrow::datatypes::Int64Type;

    use super::*;

    /// Memory for every file that there may be.
    const AMPLE: usize = MOST * (FILE + COLUMN + 1024);

    fn batch(values: &[i64]) -> Batch {
        let column: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
        Batch::exact(RecordBatch::try_from_iter([("n", column)]).expect("a batch"))
    }

    fn part(n: i64) -> Partition {
        Partition::of("p", &n.to_string())
    }

    /// The values that were handed out, by partition, in the order in which they come.
    fn told(pieces: &[(Partition, Batch)]) -> Vec<(Partition, Vec<i64>)> {
        let values = |batch: &Batch| batch.rows.column(0).as_primitive::<Int64Type>().values().to_vec();
        pieces.iter().map(|(partition, batch)| (partition.clone(), values(batch))).collect()
    }

    #[test]
    fn the_partitions_with_the_most_rows_go_first_and_the_others_stay_whole() {
        let mut waiting = Waiting::new(AMPLE, 1);
        let mut twinned = batch(&[10, 20, 21, 30]);
        twinned.twins = vec![(0, StringArray::from(vec![None, Some("x"), None, Some("y")]))];
        waiting.add(twinned, [(part(1), 1), (part(2), 2), (part(3), 1)]);
        waiting.add(batch(&[22, 31]), [(part(2), 1), (part(3), 1)]);
        let gone = waiting.largest().expect("rows");
        assert_eq!(told(&gone), [(part(2), vec![20, 21, 22])], "half of the rows");
        assert_eq!(gone[0].1.twins[0].1, StringArray::from(vec![Some("x"), None, None]));
        let before = waiting.bytes();
        waiting.add(batch(&[11]), [(part(1), 1)]);
        assert!(waiting.bytes() > before);
        let rest = waiting.rest().expect("rows");
        assert_eq!(told(&rest), [(part(1), vec![10, 11]), (part(3), vec![30, 31])]);
        assert_eq!(rest[1].1.twins[0].1, StringArray::from(vec![Some("y"), None]));
        assert!(waiting.bytes() == 0 && waiting.rest().expect("nothing").is_empty());
    }

    /// Each batch brings a row of each of many partitions: what waits grows with the rows and not with the batches.
    #[test]
    fn a_row_of_a_small_partition_takes_no_batch_of_its_own() {
        let (mut waiting, parts) = (Waiting::new(AMPLE, 1), 10_000_i64);
        let once: Vec<i64> = (0..parts).collect();
        waiting.add(batch(&once), once.iter().map(|n| (part(*n), 1)));
        let first = waiting.bytes();
        for _ in 0..9 {
            waiting.add(batch(&once), once.iter().map(|n| (part(*n), 1)));
        }
        let (rows, range) = (8, size_of::<Rows>());
        let more = waiting.bytes() - first;
        assert!(more < 9 * 10_000 * (rows + range) + 9 * 1024, "{more}");
        assert_eq!(waiting.largest().expect("rows").len(), 5_000);
        assert!(waiting.bytes() < (first + more) * 6 / 10, "half of the rows are gone, and what held them");
        assert_eq!(waiting.rest().expect("rows").iter().map(|(_, batch)| batch.rows.num_rows()).sum::<usize>(), 50_000);
    }

    #[test]
    fn rows_are_handed_out_in_pieces_and_no_lane_makes_files_without_end() {
        let mut waiting = Waiting::new(AMPLE, 1);
        let many: Vec<i64> = (0..300_000).collect();
        waiting.add(batch(&many), [(part(0), many.len())]);
        let pieces = waiting.rest().expect("rows");
        assert!(pieces.len() > 2 && pieces.iter().all(|(_, piece)| piece.rows.num_rows() * 8 <= PIECE));
        assert_eq!(told(&pieces).into_iter().flat_map(|(_, values)| values).collect::<Vec<_>>(), many);
        for n in 1..i64::try_from(MOST).expect("few") {
            waiting.add(batch(&[n]), [(part(n), 1)]);
        }
        assert_eq!(waiting.rest().expect("as many as may be").len(), MOST - 1);
        waiting.add(batch(&[1]), [(part(1), 1)]);
        let fault = waiting.rest().err().expect("one too many");
        assert_eq!(fault.code, FailureCode::CommitTooLarge);
        assert!(!fault.text.for_customer().contains("memory"), "there is enough: {}", fault.text.for_customer());
    }

    /// How many files of one row each there may be.
    fn most(memory: usize, columns: usize, text: &str) -> usize {
        let mut waiting = Waiting::new(memory, columns);
        (0..=MOST)
            .find(|n| {
                waiting.add(batch(&[1]), [(Partition::of("p", &format!("{n}{text}")), 1)]);
                waiting.rest().is_err()
            })
            .expect("a bound")
    }

    #[test]
    fn wide_tables_and_long_values_have_fewer_files() {
        let memory = 32 << 20;
        let (narrow, wide, long) = (most(memory, 2, ""), most(memory, 400, ""), most(memory, 2, &"x".repeat(4000)));
        assert!((10_000..MOST).contains(&narrow), "{narrow}");
        assert!((150..200).contains(&wide), "{wide}");
        assert!((3_000..3_500).contains(&long), "{long}");
        assert_eq!((most(0, 400, ""), most(usize::MAX, 400, "")), (LEAST, MOST));
    }
}
