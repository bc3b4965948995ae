//! Tables of a database that is written to, as a guard names them: `database/schema.table`, by the names that the worker
//! itself writes under. Reads a plan, judges nothing.

use waybill_model::name::{self, NoName};
use waybill_model::plan::{Plan, StreamPlan, System};

/// The table of each stream; nothing where the destination is no database.
pub(super) fn written(plan: &Plan) -> Vec<(&StreamPlan, Result<String, NoName>)> {
    let database = match &plan.to.system {
        System::Postgres(server) => &server.database,
        System::Local { .. }
        | System::S3(_)
        | System::Azure(_)
        | System::Gcs(_)
        // These are sources: one that stands as the destination is refused as a whole.
        | System::MySql(_)
        | System::Sqlite { .. }
        | System::Files(_) => return Vec::new(),
    };
    // A slash of its own would let it pass for a schema of another database.
    let database = if database.contains(['/', '"']) { name::quoted(database) } else { database.clone() };
    let table = |stream: &StreamPlan| {
        let (schema, table) = stream.postgres_table(&plan.from.system)?;
        Ok(format!("{database}/{}", name::shown(&schema, &table)))
    };
    plan.streams.iter().map(|stream| (stream, table(stream))).collect()
}
