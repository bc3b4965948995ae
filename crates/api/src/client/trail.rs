//! Operations on the infrastructure trail.

use waybill_model::RunId;

use super::{Client, ClientResult, ListQuery, TrailQuery};
use crate::page::Page;
use crate::trail::TrailEntry;

impl Client {
    /// Calls to customers' clouds, by the time of the last call of each entry.
    pub async fn trail_list(&self, query: &TrailQuery) -> ClientResult<Page<TrailEntry>> {
        self.get("/v1/trail", query).await
    }

    /// Calls that were made for a run.
    pub async fn run_trail(&self, id: RunId, query: &ListQuery) -> ClientResult<Page<TrailEntry>> {
        self.get(&format!("/v1/runs/{id}/trail"), query).await
    }
}
