//! Cuts a relation into ranges of row ids, after the snapshot was taken.
//!
//! A table's size is not part of a snapshot: so the first range of every table has no start and the last no end, and no row
//! can fall between them.

use super::catalog::{Leaf, Relation};

/// Blocks of the largest range: 128 MiB of 8 KiB blocks.
const RANGE_BLOCKS: u64 = 16_384;
/// Smaller ranges cost more to begin than they save.
const LEAST_BLOCKS: u64 = 512;
/// Ranges of one relation at most.
const RANGE_CAP: u64 = 1024;
/// Ranges per lane, so that lanes end at about the same time.
const PER_LANE: u64 = 4;

/// A part of the relation that one COPY reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// What stands behind FROM.
    pub(super) from: String,
    /// A condition on row ids, where it is not the whole table.
    pub(super) rows: Option<String>,
    /// Bytes, about; the biggest range goes first.
    weight: u64,
}

/// Ranges in the order in which they are taken from the end.
pub(super) fn ranges(relation: &Relation, leaves: &[Leaf], lanes: usize) -> Vec<Range> {
    let whole = || vec![Range { from: relation.sql(), rows: None, weight: 0 }];
    // A view has no rows of its own; and who may read only the parent must read through the parent.
    if relation.kind == 'v' || leaves.is_empty() || leaves.iter().any(|leaf| !leaf.is_readable) {
        return whole();
    }
    let total: u64 = leaves.iter().map(|leaf| leaf.blocks).sum();
    let lanes = lanes.max(1) as u64;
    let size = (total / (lanes * PER_LANE)).clamp(LEAST_BLOCKS, RANGE_BLOCKS).max(total.div_ceil(RANGE_CAP));
    let mut ranges = Vec::new();
    for leaf in leaves {
        let pieces = if lanes == 1 || !leaf.is_heap { 1 } else { leaf.blocks.div_ceil(size).max(1) };
        let only = if leaf.is_heap { "ONLY " } else { "" };
        for piece in 0..pieces {
            ranges.push(Range {
                from: format!("{only}{}", leaf.sql),
                rows: condition(piece, pieces, size),
                weight: leaf.bytes / pieces,
            });
        }
    }
    ranges.sort_by_key(|range| range.weight);
    ranges
}

fn condition(piece: u64, pieces: u64, size: u64) -> Option<String> {
    let tid = |block: u64| format!("'({block},0)'::pg_catalog.tid");
    let from = (piece > 0).then(|| format!("ctid OPERATOR(pg_catalog.>=) {}", tid(piece * size)));
    let to = (piece + 1 < pieces).then(|| format!("ctid OPERATOR(pg_catalog.<) {}", tid((piece + 1) * size)));
    let both: Vec<String> = from.into_iter().chain(to).collect();
    if both.is_empty() { None } else { Some(both.join(" AND ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relation(kind: char) -> Relation {
        Relation { oid: 1, schema: "s".into(), name: "t".into(), kind, file: "1".into() }
    }

    fn leaf(name: &str, blocks: u64) -> Leaf {
        let sql = format!("\"s\".\"{name}\"");
        Leaf { oid: 1, sql, is_heap: true, is_readable: true, blocks, bytes: blocks * 8192, rows: None }
    }

    #[test]
    fn the_first_range_has_no_start_and_the_last_no_end() {
        let ranges = ranges(&relation('r'), &[leaf("t", 100_000)], 2);
        assert!(ranges.len() >= 8);
        let starts = ranges.iter().filter(|r| r.rows.as_ref().is_some_and(|c| !c.contains(">="))).count();
        let ends = ranges.iter().filter(|r| r.rows.as_ref().is_some_and(|c| !c.contains("<)"))).count();
        assert_eq!((starts, ends), (1, 1));
    }

    #[test]
    fn neighbouring_ranges_meet() {
        for (blocks, lanes) in [(100_000, 4), (1_537, 2), (40_000_000, 8)] {
            let mut edges: Vec<u64> = Vec::new();
            for range in ranges(&relation('r'), &[leaf("t", blocks)], lanes) {
                let condition = range.rows.expect("cut");
                edges.extend(
                    condition
                        .split("'(")
                        .skip(1)
                        .map(|t| t.split(',').next().expect("a block").parse::<u64>().expect("a number")),
                );
            }
            edges.sort_unstable();
            assert!(edges.len() / 2 < 1024);
            assert!(edges.chunks(2).all(|pair| pair[0] == pair[1]), "{edges:?}");
        }
    }

    #[test]
    fn one_lane_reads_each_table_in_one_go() {
        let all = ranges(&relation('p'), &[leaf("a", 100_000), leaf("b", 3)], 1);
        assert_eq!(all.iter().map(|r| r.rows.clone()).collect::<Vec<_>>(), [None, None]);
        assert!(all[1].from.contains("\"a\""), "the biggest is taken first, from the end");
    }

    #[test]
    fn a_leaf_that_may_not_be_read_is_read_through_its_parent() {
        let hidden = Leaf { is_readable: false, ..leaf("b", 10_000) };
        let all = ranges(&relation('p'), &[leaf("a", 10_000), hidden], 4);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].from, "\"s\".\"t\"");
    }
}
