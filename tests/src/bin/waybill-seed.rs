//! Fills a source database with TPC-H rows: `waybill-seed sqlite PATH SCALE FROM TO` or `waybill-seed postgres URL …`,
//! where FROM and TO are parts 1 to 10. Prints the rows written.

use anyhow::{Context, Result, bail};
use waybill_tests::seed;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [kind, place, scale, from, to] = words.as_slice() else {
        bail!("usage: waybill-seed sqlite|postgres PATH|URL SCALE FROM TO");
    };
    let (scale, from, to) = (scale.parse().context("SCALE")?, from.parse().context("FROM")?, to.parse().context("TO")?);
    let rows = match kind.as_str() {
        "sqlite" => seed::sqlite(place.as_ref(), scale, from, to)?,
        "postgres" => seed::postgres(place, scale, from, to)?,
        other => bail!("{other}: not sqlite or postgres"),
    };
    use std::io::Write;
    writeln!(std::io::stdout(), "{rows}")?;
    Ok(())
}
