//! What a guard says of databases that are written to: hosts and tables of their own.

use waybill_model::plan::{Load, Plan, System};
use waybill_spec::guard::{Guard, Reason, draft};

use super::guard::{GUARD, guard, plan, refused};

/// The plan's rows go into a database like the one that they come from.
fn copy() -> Plan {
    let Plan { from, .. } = plan("nightly");
    Plan { to: waybill_model::plan::Endpoint { connection: "copy".into(), ..from }, ..plan("nightly") }
}

/// A guard that lets these tables of servers on these hosts be written to.
fn writes(hosts: &str, tables: &str) -> Guard {
    let lists = format!("[write]\nhosts = [{hosts}]\ntables = [{tables}]\nconnectors = [\"postgres\", ");
    let text = GUARD.replace("[write]\nconnectors = [", &lists);
    assert_ne!(text, GUARD);
    guard(&text)
}

fn reasons(guard: &Guard, plan: &Plan) -> Vec<(Reason, &'static str)> {
    refused(guard, plan).into_iter().map(|(why, key, _)| (why, key)).collect()
}

#[test]
fn a_database_is_written_to_only_where_write_hosts_names_it() {
    let (copy, tables) = (copy(), "\"shop/public.orders\"");
    // Its host is one that may be read from.
    assert_eq!(reasons(&writes("", tables), &copy), [(Reason::Host, "write.hosts")]);
    assert_eq!(reasons(&writes("\"db.internal:5432\"", tables), &copy), []);
    assert_eq!(reasons(&guard(GUARD), &copy)[0], (Reason::Connector, "write.connectors"));
}

#[test]
fn a_table_of_a_database_is_written_to_only_where_write_tables_names_it_with_its_database() {
    let of = |tables: &str| writes("\"db.internal:5432\"", tables);
    let with = |database: &str, stream: &str, table: Option<&str>, load| {
        let mut copy = copy();
        let System::Postgres(to) = &mut copy.to.system else { panic!("a Postgres destination") };
        to.database = database.into();
        (copy.streams[0].name, copy.streams[0].table) = (stream.into(), table.map(str::to_owned));
        copy.streams[0].load = load;
        copy
    };
    let outside = [(Reason::Table, "write.tables")];
    for load in [Load::Full, Load::New, Load::Changed] {
        // By its own name and by another; what the plan calls it makes no difference.
        for (stream, table, fits) in [
            ("public.orders", None, true),
            ("Public.ORDERS", None, true),
            ("public.items", Some("orders"), true),
            ("public.items", Some("\"public\".\"orders\""), true),
            ("public.items", None, false),
            ("public.orders", Some("payroll.salaries"), false),
            ("public.orders", Some("\"Orders\""), false),
            ("public.orders", Some("orders.x"), false),
        ] {
            let found = reasons(&of("\"shop/public.orders\""), &with("shop", stream, table, load));
            let found: Vec<_> = found.into_iter().filter(|(_, key)| *key != "read.tables").collect();
            assert_eq!(found.is_empty(), fits, "{stream} {table:?} {load:?}: {found:?}");
            assert!(fits || found == outside, "{found:?}");
        }
    }
    // A whole schema, a whole database, and what only looks like one of theirs.
    for (list, database, table, fits) in [
        ("shop/sales.*", "shop", "sales.\"Odd.One\"", true),
        ("shop/sales.*", "shop", "sales2.orders", false),
        ("shop/sales.*", "finance", "sales.orders", false),
        ("shop/sales.*", "shop/sales.x", "public.orders", false),
        ("shop/sales.*", "shop/sales", "x", false),
        ("shop/*", "shop", "a.b", true),
        ("shop/*", "shop/", "a.b", false),
        ("shop/*", "Shop", "a.b", false),
        ("my-shop/a.b", "my-shop", "a.b", true),
    ] {
        let found = reasons(&of(&format!("\"{list}\"")), &with(database, "public.orders", Some(table), Load::Full));
        assert_eq!(found, if fits { &[][..] } else { &outside }, "{list}: {database} {table}");
    }
    // No list, and a name that none can be.
    assert_eq!(reasons(&of(""), &copy()), outside);
    assert_eq!(reasons(&of("\"*\""), &with("shop", "public.orders", Some("a.b.c"), Load::Full)), outside);
    // Into a bucket the key says nothing.
    assert_eq!(refused(&guard(GUARD), &plan("nightly")), []);
}

#[test]
fn a_first_guard_names_the_tables_that_are_written_to() {
    let mut copy = copy();
    copy.streams[0].table = Some("warehouse.\"Ord*ers\"".into());
    for copy in [&copy, &self::copy()] {
        let drafted = Guard::parse(&draft(std::slice::from_ref(copy))).expect("a guard");
        assert_eq!(refused(&drafted, copy), []);
    }
    let drafted = draft(&[self::copy()]);
    assert!(drafted.contains("tables = [\"shop/public.orders\"]"), "{drafted}");
}
