//! A pipeline in words, as it is answered. The words are made where the pipeline file is read.

use waybill_api::pipeline::{DescribedEnd, DescribedFact, DescribedStream, PipelineDescription};
use waybill_model::PipelineId;
use waybill_model::plan::Plan;
use waybill_spec::describe::{Described, End, Fact, describe, markdown};

/// The description of a version's plan.
pub(super) fn shown(id: PipelineId, version: u64, plan: &Plan) -> PipelineDescription {
    let described = describe(plan);
    let markdown = markdown(&described);
    PipelineDescription {
        pipeline_id: id,
        name: described.pipeline,
        version,
        from: end(described.from),
        to: end(described.to),
        streams: described.streams.into_iter().map(stream).collect(),
        markdown,
    }
}

fn end(End { connection, kind, place }: End) -> DescribedEnd {
    DescribedEnd { connection, kind, place }
}

fn stream(Described { stream, facts }: Described) -> DescribedStream {
    DescribedStream { name: stream, facts: facts.into_iter().map(fact).collect() }
}

fn fact(Fact { part, key, is_set, text }: Fact) -> DescribedFact {
    DescribedFact { part: part.as_str().to_owned(), key, is_set, text }
}
