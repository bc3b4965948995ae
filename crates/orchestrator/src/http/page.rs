//! Pages of lists. A cursor is opaque and signed: bound to the person, the operation and the filters that it came from.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use waybill_api::page::{DEFAULT_LIMIT, MAX_LIMIT, PageCount};
use waybill_api::{Page, ProblemCode};
use waybill_identity::KeyDirectory;
use waybill_identity::error::IdentityResult;
use waybill_store::{ListOrder, ListPart};

use crate::auth::Caller;
use crate::service::{Refused, ServiceResult};

const MAC: usize = 16;
const LONGEST: usize = 512;

/// Signs and checks cursors.
pub struct Pager(hmac::Key);

/// What every list takes.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Paging {
    pub(super) limit: Option<u32>,
    pub(super) cursor: Option<String>,
    pub(super) sort: Option<String>,
    pub(super) count: Option<Count>,
}

/// How a list is counted: counting a large one exactly would take longer than reading its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Count {
    Estimate,
}

/// Where counting stops.
const COUNTED: u32 = 10_000;

/// Orders of lists of named things.
pub(super) const BY_NAME: &[&str] = &["created_at", "-created_at", "name", "-name"];
/// The same for the description.
pub(super) const SORTS: &str = "created_at, -created_at, name or -name; created_at where absent.";
/// The only order of the other lists.
const ONE_ORDER: &[&str] = &[];

/// One request for a page.
pub(super) struct Turn<'a> {
    pager: &'a Pager,
    context: String,
    sort: &'static str,
    counts: bool,
    /// Items to give.
    pub(super) limit: usize,
    /// The last item of the page before.
    pub(super) after: Option<String>,
}

impl Pager {
    /// Reads the key, or makes it where the directory makes keys.
    pub fn open(directory: &KeyDirectory) -> IdentityResult<Self> {
        let key = directory.read_or_make("page-cursor.key", || Ok(crate::random::<32>().to_vec().into()))?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    /// Checks what a request asks for. `filters`: everything else that decides what the list holds.
    pub(super) fn turn(
        &self,
        caller: &Caller,
        operation: &str,
        paging: Paging,
        filters: &impl Serialize,
    ) -> ServiceResult<Turn<'_>> {
        if paging.count.is_some() {
            return Err(Refused::field(ProblemCode::ParameterInvalid, "count", "this list is not counted"));
        }
        self.sorted(caller, (operation, ONE_ORDER), paging, filters)
    }

    /// The same for a list that has these orders, the first one where none is asked for, and that can be counted.
    pub(super) fn sorted(
        &self,
        caller: &Caller,
        (operation, orders): (&str, &'static [&'static str]),
        paging: Paging,
        filters: &impl Serialize,
    ) -> ServiceResult<Turn<'_>> {
        let sort = match &paging.sort {
            None => orders.first().copied().unwrap_or_default(),
            Some(asked) => orders.iter().copied().find(|order| order == asked).ok_or_else(|| {
                let detail = match orders {
                    [] => "this list has one order".to_owned(),
                    orders => format!("sort is one of {}", orders.join(", ")),
                };
                Refused::field(ProblemCode::ParameterInvalid, "sort", detail)
            })?,
        };
        let limit = paging.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            let detail = format!("limit is between 1 and {MAX_LIMIT}");
            return Err(Refused::field(ProblemCode::ParameterInvalid, "limit", detail));
        }
        let filters = serde_json::to_string(filters).unwrap_or_default();
        let context = format!("{operation}\n{}\n{filters}\n{sort}", caller.actor());
        let after = paging.cursor.map(|cursor| self.read(&context, &cursor)).transpose()?;
        let counts = paging.count.is_some();
        Ok(Turn { pager: self, context, sort, counts, limit: limit as usize, after })
    }

    fn read(&self, context: &str, cursor: &str) -> ServiceResult<String> {
        let bytes = if cursor.len() > LONGEST { None } else { URL_SAFE_NO_PAD.decode(cursor).ok() };
        let split = bytes.as_deref().and_then(|bytes| bytes.split_at_checked(MAC));
        let good = split.filter(|(mac, last)| {
            let full = self.sign(context, last);
            aws_lc_rs::constant_time::verify_slices_are_equal(mac, &full.as_ref()[..MAC]).is_ok()
        });
        good.and_then(|(_, last)| String::from_utf8(last.to_vec()).ok()).ok_or_else(|| {
            let detail = "the cursor was not made for this list, these filters and this login";
            Refused::new(ProblemCode::PageTokenInvalid, detail).next("begin again without `cursor`")
        })
    }

    fn sign(&self, context: &str, last: &[u8]) -> hmac::Tag {
        let mut signing = hmac::Context::with_key(&self.0);
        signing.update(&(context.len() as u64).to_be_bytes());
        signing.update(context.as_bytes());
        signing.update(last);
        signing.sign()
    }
}

impl Turn<'_> {
    /// One more than a page: whether it comes tells whether there is a next page.
    pub(super) fn fetch(&self) -> i64 {
        i64::try_from(self.limit).unwrap_or(0) + 1
    }

    /// The key after which the page begins, as the type that the store takes.
    pub(super) fn key<K: std::str::FromStr>(&self) -> ServiceResult<Option<K>> {
        let key = self.after.as_deref().map(str::parse).transpose();
        key.map_err(|_| Refused::from(ProblemCode::PageTokenInvalid))
    }

    /// The order that was asked for.
    pub(super) const fn sort(&self) -> &'static str {
        self.sort
    }

    /// The part of a list in one of the orders [`BY_NAME`].
    pub(super) fn part(&self) -> ListPart {
        ListPart {
            order: if self.by_name() { ListOrder::Name } else { ListOrder::Made },
            descending: self.sort.starts_with('-'),
            after: self.after.clone(),
            limit: self.fetch(),
        }
    }

    /// The place of a row in one of the orders [`BY_NAME`].
    pub(super) fn place(&self, id: &impl ToString, name: &str) -> String {
        if self.by_name() { name.to_owned() } else { id.to_string() }
    }

    /// Whether the list is ordered by names, so that a name is a place of it.
    fn by_name(&self) -> bool {
        matches!(self.sort, "name" | "-name")
    }

    /// How many there are, where that was asked for.
    pub(super) async fn count<E>(
        &self,
        count: impl AsyncFnOnce(i64) -> Result<i64, E>,
    ) -> Result<Option<PageCount>, E> {
        if !self.counts {
            return Ok(None);
        }
        let counted = u64::try_from(count(i64::from(COUNTED) + 1).await?).unwrap_or(0);
        let most = u64::from(COUNTED);
        Ok(Some(PageCount { value: counted.min(most), exact: counted <= most }))
    }

    /// How many a list holds that is either what has a name, already found, or all of its kind.
    pub(super) async fn count_of<E>(
        &self,
        found: Option<usize>,
        all: impl AsyncFnOnce(i64) -> Result<i64, E>,
    ) -> Result<Option<PageCount>, E> {
        match found {
            Some(rows) => self.count(async |_| Ok(i64::try_from(rows).unwrap_or(i64::MAX))).await,
            None => self.count(all).await,
        }
    }

    /// Makes a page of what [`Turn::fetch`] rows gave.
    pub(super) fn page<R, T>(&self, mut rows: Vec<R>, key: impl Fn(&R) -> String, show: impl FnMut(R) -> T) -> Page<T> {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let next_cursor = if more { rows.last().map(|last| self.cursor(&key(last))) } else { None };
        Page { items: rows.into_iter().map(show).collect(), next_cursor, count: None }
    }

    fn cursor(&self, last: &str) -> String {
        let mut bytes = self.pager.sign(&self.context, last.as_bytes()).as_ref()[..MAC].to_vec();
        bytes.extend_from_slice(last.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }
}
