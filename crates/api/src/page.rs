//! Lists: a page of items and where the next one begins.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::example::Example;

/// Items per page where none is asked for.
pub const DEFAULT_LIMIT: u32 = 50;
/// Most items of one page.
pub const MAX_LIMIT: u32 = 200;

/// One page of a list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The items, in the order that was asked for.
    pub items: Vec<T>,
    /// Give it as `cursor` for the next page; absent on the last one. Opaque, signed, bound to this user and these filters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// How many the whole list holds, where `count=estimate` was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<PageCount>,
}

/// How many a list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PageCount {
    /// The number, or what was counted until counting stopped.
    pub value: u64,
    /// Whether it is the number. If not, there are more.
    pub exact: bool,
}

impl<T: Example> Example for Page<T> {
    fn example() -> Self {
        Self { items: vec![T::example()], next_cursor: None, count: None }
    }
}
