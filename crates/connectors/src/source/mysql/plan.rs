//! Cuts a table into ranges of its key, within the snapshot.
//!
//! Ranges of the first column of the primary key, which is never NULL, are disjoint and cover all rows whatever the other
//! columns hold: the first has no start and the last no end. Only integers are cut; anything else is read in one go.

use waybill_pipeline::FaultResult;

use super::catalog::{Column, Relation};
use super::kind::resolve;
use super::literal::{identifier, is_integer};
use super::wire::Wire;

/// Bytes of a range, about.
const RANGE_BYTES: u64 = 128 << 20;
/// Smaller tables cost more to cut than it saves.
const LEAST_BYTES: u64 = 8 << 20;
/// Ranges of one table at most.
const RANGE_CAP: u64 = 1024;
/// Ranges per lane, so that lanes end at about the same time.
const PER_LANE: u64 = 4;

/// The column by which a table can be cut, where there is one and it is worth it.
pub(super) fn cut_by(relation: &Relation, columns: &[Column], key: &[String]) -> Option<String> {
    if relation.is_view || !relation.is_innodb() || relation.bytes < LEAST_BYTES {
        return None;
    }
    let first = columns.iter().find(|column| Some(&column.name) == key.first())?;
    (is_integer(&resolve(first).0) && first.not_null).then(|| identifier(&first.name))
}

/// Conditions of the ranges, in the order in which they are taken from the end; none where it is one range of everything.
pub(super) async fn ranges(
    wire: &mut Wire,
    relation: &Relation,
    by: &str,
    lanes: usize,
) -> FaultResult<Vec<Option<String>>> {
    let ends = wire.ask_one(&format!("SELECT MIN({by}), MAX({by}) FROM {}", relation.sql())).await?;
    let (low, high): (Option<i128>, Option<i128>) = (ends.opt_number(0)?, ends.opt_number(1)?);
    let pieces = (lanes as u64 * PER_LANE).max(relation.bytes.div_ceil(RANGE_BYTES)).min(RANGE_CAP);
    match (low, high) {
        (Some(low), Some(high)) => Ok(conditions(by, low, high, i128::from(pieces))),
        _ => Ok(vec![None]),
    }
}

fn conditions(by: &str, low: i128, high: i128, pieces: i128) -> Vec<Option<String>> {
    let pieces = pieces.min(high - low + 1).max(1);
    let start = |piece: i128| low + (high - low + 1) * piece / pieces;
    let range = |piece: i128| {
        let from = (piece > 0).then(|| format!("{by} >= {}", start(piece)));
        let to = (piece + 1 < pieces).then(|| format!("{by} < {}", start(piece + 1)));
        let both: Vec<String> = from.into_iter().chain(to).collect();
        if both.is_empty() { None } else { Some(both.join(" AND ")) }
    };
    (0..pieces).rev().map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_meet_and_have_no_outer_ends() {
        for (low, high, pieces) in [
            (1, 1_000_000, 8),
            (-5, 5, 4),
            (i128::from(i64::MIN), i128::from(i64::MAX), 1024),
            (0, i128::from(u64::MAX), 7),
            (3, 5, 8),
        ] {
            let ranges = conditions("k", low, high, pieces);
            assert_eq!(ranges.len() as i128, pieces.min(high - low + 1));
            let (mut starts, mut ends) = (Vec::new(), Vec::new());
            for range in ranges.iter().rev().flatten() {
                for part in range.split(" AND ") {
                    match (part.strip_prefix("k >= "), part.strip_prefix("k < ")) {
                        (Some(start), _) => starts.push(start.to_owned()),
                        (_, Some(end)) => ends.push(end.to_owned()),
                        _ => panic!("{part}"),
                    }
                }
            }
            assert_eq!(starts, ends, "every end is the next one's start");
            assert!(starts.windows(2).all(|pair| pair[0].parse::<i128>().ok() < pair[1].parse().ok()));
        }
        assert_eq!(conditions("k", 7, 7, 8), [None]);
    }
}
