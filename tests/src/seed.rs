//! TPC-H rows for the demo and the benchmark, generated here and written straight into a source database.
//!
//! Orders are cut in ten parts by key, so that a later call can add the last one as "new rows".

use std::fmt::Display;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use tpchgen::generators::{LineItemGenerator, OrderGenerator};

/// Parts that each table is generated in.
pub const PARTS: i32 = 10;

/// Columns of `orders`, the same text for SQLite and Postgres.
const ORDERS: &str = "o_orderkey bigint not null, o_custkey bigint not null, o_orderstatus char(1) not null, \
    o_totalprice decimal(15,2) not null, o_orderdate date not null, o_orderpriority char(15) not null, \
    o_clerk char(15) not null, o_shippriority integer not null, o_comment varchar(79) not null";

/// Columns of `lineitem`, the same text for SQLite and Postgres.
const LINEITEM: &str = "l_orderkey bigint not null, l_partkey bigint not null, l_suppkey bigint not null, \
    l_linenumber integer not null, l_quantity decimal(15,2) not null, l_extendedprice decimal(15,2) not null, \
    l_discount decimal(15,2) not null, l_tax decimal(15,2) not null, l_returnflag char(1) not null, \
    l_linestatus char(1) not null, l_shipdate date not null, l_commitdate date not null, l_receiptdate date not null, \
    l_shipinstruct char(25) not null, l_shipmode char(10) not null, l_comment varchar(44) not null";

/// One table with its rows as TPC-H prints them: fields between bars, a bar at the end.
struct Generated {
    name: &'static str,
    columns: &'static str,
    fields: usize,
}

const TABLES: [Generated; 2] = [
    Generated { name: "orders", columns: ORDERS, fields: 9 },
    Generated { name: "lineitem", columns: LINEITEM, fields: 16 },
];

impl Generated {
    fn rows(&self, scale: f64, part: i32) -> Box<dyn Iterator<Item = String>> {
        fn lines<T: Display>(rows: impl Iterator<Item = T> + 'static) -> Box<dyn Iterator<Item = String>> {
            Box::new(rows.map(|row| row.to_string().trim_end_matches('|').to_owned()))
        }
        if self.name == "orders" {
            lines(OrderGenerator::new(scale, part, PARTS).into_iter())
        } else {
            lines(LineItemGenerator::new(scale, part, PARTS).into_iter())
        }
    }
}

/// Writes parts `from..=to` of both tables into a SQLite file, which is made if it is not there. Returns the rows written.
pub fn sqlite(path: &Path, scale: f64, from: i32, to: i32) -> Result<u64> {
    let mut database = rusqlite::Connection::open(path).with_context(|| format!("open {}", path.display()))?;
    database.pragma_update(None, "journal_mode", "wal")?;
    database.pragma_update(None, "synchronous", "off")?;
    let mut written = 0;
    for table in &TABLES {
        let transaction = database.transaction()?;
        transaction.execute_batch(&format!("create table if not exists {} ({})", table.name, table.columns))?;
        let marks = (1..=table.fields).map(|n| format!("?{n}")).collect::<Vec<_>>().join(",");
        {
            let mut insert = transaction.prepare(&format!("insert into {} values ({marks})", table.name))?;
            for row in (from..=to).flat_map(|part| table.rows(scale, part)) {
                insert.execute(rusqlite::params_from_iter(row.split('|')))?;
                written += 1;
            }
        }
        transaction.commit()?;
    }
    Ok(written)
}

/// What is written on a Postgres table that is made here; `demo.py fresh` drops no other.
const MARK: &str = "made by waybill-seed";

/// The same for a Postgres database, by COPY. Tables are made in the schema `public`. It goes through `psql`, so that all of
/// the URL holds, such as `sslmode` and `sslrootcert`.
pub fn postgres(url: &str, scale: f64, from: i32, to: i32) -> Result<u64> {
    let mut written = 0;
    for table in &TABLES {
        let (name, columns) = (table.name, table.columns);
        let made = format!(
            "do $$ begin if to_regclass('public.{name}') is null then create table public.{name} ({columns}); \
             comment on table public.{name} is '{MARK}'; end if; end $$"
        );
        let mut psql = Command::new("psql");
        psql.args(["-Xq", "--set", "ON_ERROR_STOP=1", "--command", &made, "--command"]);
        psql.arg(format!("copy public.{name} from stdin (format text, delimiter '|')")).args(["--dbname", url]);
        let mut psql = psql.stdin(Stdio::piped()).spawn().context("run psql (Debian: postgresql-client)")?;
        let sent = psql.stdin.take().context("psql's input").and_then(|input| {
            let mut input = BufWriter::with_capacity(1 << 16, input);
            let rows = (from..=to).flat_map(|part| table.rows(scale, part)).map(|row| writeln!(input, "{row}"));
            let sent = rows.map(|row| row.map(|()| 1_u64)).sum::<io::Result<u64>>()?;
            input.flush().map(|()| sent).map_err(Into::into)
        });
        // Where psql ended early, its own words say why.
        let status = psql.wait()?;
        anyhow::ensure!(status.success(), "psql could not write public.{name}: {status}");
        written += sent?;
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_together_are_the_whole_table_and_rise_in_key() {
        let whole = TABLES[0].rows(0.001, 1).count() as i64 * 10;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("shop.db");
        sqlite(&path, 0.001, 1, 9).expect("seed");
        let database = rusqlite::Connection::open(&path).expect("open");
        let highest: i64 = database.query_row("select max(o_orderkey) from orders", [], |r| r.get(0)).expect("max");
        sqlite(&path, 0.001, 10, 10).expect("seed");
        let (count, new): (i64, i64) = database
            .query_row("select count(*), count(*) filter (where o_orderkey > ?1) from orders", [highest], |r| {
                Ok((r.get(0)?, r.get(1)?))
            })
            .expect("count");
        assert_eq!((count, new), (whole, whole / 10));
    }
}
