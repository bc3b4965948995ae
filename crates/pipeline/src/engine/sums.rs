//! Whether the files hold what the source has: the sums that the source computed in its snapshot against those of the files that
//! were just written, read back from the bucket as any reader gets them.
//!
//! It comes behind the last row and before anything of them can be committed. What differs is named to the customer only.

use std::sync::Arc;

use arrow::datatypes::DataType;
use waybill_model::FailureCode;
use waybill_model::event::{Event, EventCode};

use super::load::Loaded;
use super::merge::Key;
use super::stream::StreamWork;
use crate::encode::twin_name;
use crate::fault::Fault;
use crate::merge;
use crate::source::Proof;
use crate::stop::End;
use crate::sums::ColumnSum;

/// A column that is read back, and where its twin stands among what is read.
struct Column {
    place: usize,
    twin: Option<usize>,
}

/// Columns that are read, by name and type.
type Wanted = Vec<(String, DataType)>;

impl StreamWork<'_> {
    /// Compares, and gives the proof with the sums of the columns that the table has. Those that were left out of it, since it
    /// has them not, are compared with nothing.
    pub(super) async fn compare_sums(&self, loaded: &Loaded, mut proof: Proof) -> Result<Proof, End> {
        // Of the first rows alone the source has no sums.
        let is_cut = self.limit().is_some() && proof.sums.is_empty();
        if is_cut || self.plan.checksums.is_off() {
            return Ok(proof);
        }
        let schema = Arc::clone(&loaded.way.files()?.schema);
        proof.sums.retain(|sum| schema.index_of(sum.column()).is_ok());
        if proof.sums.is_empty() {
            return Err(Fault::new(FailureCode::ChecksumUnusable, "the source computed no sums of its columns").into());
        }
        let own = self.sums_of_files(loaded, &proof.sums).await?;
        let both = proof.sums.iter().zip(&own);
        let differing: Vec<String> =
            both.filter(|(theirs, own)| theirs != own).map(|(theirs, own)| theirs.difference(own)).collect();
        let tell = |code, count: usize| {
            let event = Event::of_stream(code, self.index);
            self.shared.context.observer.event(Event { count: Some(count as u64), ..event });
        };
        if differing.is_empty() {
            tell(EventCode::ChecksumsAgree, own.len());
            return Ok(proof);
        }
        tell(EventCode::ChecksumsDiffer, differing.len());
        let text = format!(
            "what was written is not what the source has in the same snapshot: {}; nothing is committed",
            differing.join(", ")
        );
        Err(Fault::new(FailureCode::ChecksumMismatch, text).into())
    }

    /// The sums of the same columns over the files. Within a lane's place and memory: none of this stream runs any more.
    async fn sums_of_files(&self, loaded: &Loaded, theirs: &[ColumnSum]) -> Result<Vec<ColumnSum>, End> {
        let mut sums: Vec<ColumnSum> = theirs.iter().map(|sum| ColumnSum::none(sum.column())).collect();
        if loaded.files.is_empty() {
            return Ok(sums);
        }
        let (columns, wanted) = columns(loaded, &sums)?;
        let memory = self.room().await?;
        let work = self.work(&Key::default(), loaded.way.files()?.clone(), None);
        let files = loaded.files.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let read = merge::read_back(&work, &files, &wanted, |values| {
                for (sum, column) in sums.iter_mut().zip(&columns) {
                    if let Some(own) = values.get(column.place) {
                        sum.take_all(own, column.twin.and_then(|twin| values.get(twin)))?;
                    }
                }
                Ok(())
            });
            drop(memory);
            read.map(|()| sums)
        });
        let read = reading.await;
        read.unwrap_or_else(|_| Err(Fault::new(FailureCode::WorkerBug, "a reading of files panicked").into()))
    }
}

/// What is read of the files, by name: the columns, then the twins of those that have one.
fn columns(loaded: &Loaded, sums: &[ColumnSum]) -> Result<(Vec<Column>, Wanted), End> {
    let schema = &loaded.way.files()?.schema;
    let twins = loaded.way.twins();
    let (mut columns, mut wanted, mut beside) = (Vec::new(), Vec::new(), Vec::new());
    for (place, sum) in sums.iter().enumerate() {
        let missing = |_| Fault::new(FailureCode::WorkerBug, "a column is summed that the stream has not");
        let at = schema.index_of(sum.column()).map_err(missing)?;
        wanted.push((sum.column().to_owned(), schema.field(at).data_type().clone()));
        let twin = twins.contains(&at).then(|| sums.len() + beside.len());
        if twin.is_some() {
            beside.push((twin_name(sum.column()), DataType::Utf8));
        }
        columns.push(Column { place, twin });
    }
    wanted.extend(beside);
    Ok((columns, wanted))
}
