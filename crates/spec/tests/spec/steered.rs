//! What an orchestrator asks of a file beyond what makes it right: paths that mean one place wherever a worker starts.

use waybill_spec::{Code, parse, parse_connection, parse_steered};

const LAPTOP: &str = include_str!("../../../../examples/laptop.waybill.yaml");

#[test]
fn relative_paths_are_for_a_worker_alone_and_each_is_refused_at_its_place() {
    assert!(parse(LAPTOP).is_ok(), "a worker alone takes them");
    let found = parse_steered(LAPTOP).expect_err("refused");
    let line = |text: &str| LAPTOP.lines().position(|line| line.contains(text)).map(|at| at as u32 + 1);
    let lines: Vec<Option<u32>> = found.iter().map(|one| Some(one.line)).collect();
    assert_eq!(lines, [line("./shop.db"), line("./lake")], "{found:#?}");
    for one in &found {
        assert!(one.code == Code::BadValue && one.message.starts_with("`path` of connection"), "{one:#?}");
        assert!(one.suggestion.as_deref().is_some_and(|help| help.contains("/data/")), "{one:#?}");
    }
    let absolute = LAPTOP.replace("./", "/srv/");
    assert_eq!(parse_steered(&absolute).expect("a file"), parse(&absolute).expect("a file"));
}

#[test]
fn a_connection_alone_is_held_to_it_as_well() {
    let postgres = |ca: &str| format!("{{ type: postgres, host: db.internal, database: d, user: u, ca: \"{ca}\" }}");
    for (text, is_right) in [
        ("{ type: sqlite, path: shop.db }".to_owned(), false),
        ("{ type: local, path: ../lake }".to_owned(), false),
        (postgres("ca.pem"), false),
        (postgres("/etc/ca.pem"), true),
        (postgres("file:///etc/ca.pem"), true),
        (postgres("aws-ssm:///shop/ca"), true),
        ("{ type: local, path: /lake }".to_owned(), true),
    ] {
        assert_eq!(parse_connection("it", &text).is_ok(), is_right, "{text}");
    }
}
