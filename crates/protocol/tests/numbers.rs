//! Holds every number of the wire to `proto/numbers.lock`: what was once given stays given.
//!
//! Additions: `WAYBILL_NUMBERS=extend cargo test -p waybill-protocol --test numbers`, then commit the lock. A changed,
//! reused or silently dropped number fails, also while extending.

use std::collections::BTreeMap;
use std::path::PathBuf;

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind};

type Lock = BTreeMap<String, String>;

#[test]
fn numbers_once_given_never_change() {
    let pool = DescriptorPool::decode(waybill_protocol::FILE_DESCRIPTOR_SET).expect("the exported descriptors");
    let now = read_pool(&pool);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../proto/numbers.lock");
    let mut lock = parse(&std::fs::read_to_string(&path).unwrap_or_default());
    assert_eq!(broken(&lock, &now, &reserved(&pool)), Vec::<String>::new());
    if std::env::var("WAYBILL_NUMBERS").as_deref() == Ok("extend") {
        lock.extend(now.clone());
        std::fs::write(&path, print(&lock)).expect("write proto/numbers.lock");
    }
    let missing: Vec<_> = now.keys().filter(|name| !lock.contains_key(*name)).collect();
    assert!(missing.is_empty(), "not in proto/numbers.lock: {missing:?}; see the head of this file");
}

#[test]
fn a_changed_number_or_type_is_found() {
    let lock = parse("m.A.x = 1 string");
    assert_eq!(broken(&lock, &parse("m.A.x = 2 string"), &[]), ["m.A.x was `1 string`, is `2 string`"]);
    assert_eq!(broken(&lock, &parse("m.A.x = 1 bytes"), &[]), ["m.A.x was `1 string`, is `1 bytes`"]);
}

#[test]
fn a_reused_number_is_found() {
    let lock = parse("m.A.x = 1 string");
    let found = broken(&lock, &parse("m.A.y = 1 string"), &[("m.A".into(), 1)]);
    assert_eq!(found, ["m.A.y takes number 1, which was m.A.x"]);
}

#[test]
fn a_dropped_number_must_be_reserved() {
    let lock = parse("m.A.x = 1 string\nm.A.y = 2 string");
    let now = parse("m.A.y = 2 string");
    assert_eq!(broken(&lock, &now, &[]), ["m.A.x is gone: write `reserved 1;` in m.A"]);
    assert_eq!(broken(&lock, &now, &[("m.A".into(), 1)]), Vec::<String>::new());
}

#[test]
fn an_addition_breaks_nothing() {
    assert_eq!(
        broken(&parse("m.A.x = 1 string"), &parse("m.A.x = 1 string\nm.A.y = 2 string"), &[]),
        Vec::<String>::new()
    );
}

fn parse(text: &str) -> Lock {
    let lines = text.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty());
    lines.filter_map(|l| l.split_once(" = ")).map(|(name, number)| (name.to_owned(), number.to_owned())).collect()
}

fn print(lock: &Lock) -> String {
    let head =
        "# Every number and name of the wire, as given once and for all. Extended by a test, never edited by hand.\n";
    lock.iter().fold(head.to_owned(), |text, (name, number)| text + name + " = " + number + "\n")
}

fn read_pool(pool: &DescriptorPool) -> Lock {
    let mut now = Lock::new();
    for message in pool.all_messages().filter(|m| m.full_name().starts_with("waybill.")) {
        for field in message.fields() {
            now.insert(field.full_name().to_owned(), format!("{} {}", field.number(), shape(&field)));
        }
    }
    for each in pool.all_enums().filter(|e| e.full_name().starts_with("waybill.")) {
        for value in each.values() {
            now.insert(format!("{}.{}", each.full_name(), value.name()), format!("{} value", value.number()));
        }
    }
    for extension in pool.all_extensions().filter(|e| e.full_name().starts_with("waybill.")) {
        now.insert(extension.full_name().to_owned(), format!("{} extension", extension.number()));
    }
    for method in pool.services().flat_map(|s| s.methods().collect::<Vec<_>>()) {
        let stream = |yes: bool| if yes { "stream " } else { "" };
        let (from, to) = (stream(method.is_client_streaming()), stream(method.is_server_streaming()));
        let shape = format!("{from}{} -> {to}{}", method.input().full_name(), method.output().full_name());
        now.insert(method.full_name().to_owned(), shape);
    }
    now
}

fn shape(field: &FieldDescriptor) -> String {
    let kind = match field.kind() {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(each) => each.full_name().to_owned(),
        scalar => format!("{scalar:?}").to_lowercase(),
    };
    if field.is_list() { format!("repeated {kind}") } else { kind }
}

fn reserved(pool: &DescriptorPool) -> Vec<(String, u32)> {
    let of_messages = pool.all_messages().flat_map(|m| {
        let name = m.full_name().to_owned();
        m.reserved_ranges().flatten().map(move |n| (name.clone(), n)).collect::<Vec<_>>()
    });
    of_messages.collect()
}

/// What the protos of now break of the lock.
fn broken(lock: &Lock, now: &Lock, reserved: &[(String, u32)]) -> Vec<String> {
    let number = |text: &str| text.split(' ').next().and_then(|n| n.parse::<u32>().ok());
    let parent = |name: &str| name.rsplit_once('.').map_or(String::new(), |(parent, _)| parent.to_owned());
    let mut bad = Vec::new();
    for (name, was) in lock {
        match now.get(name) {
            Some(is) if is == was => {}
            Some(is) => bad.push(format!("{name} was `{was}`, is `{is}`")),
            None => match number(was) {
                Some(n) if reserved.contains(&(parent(name), n)) => {}
                Some(n) => bad.push(format!("{name} is gone: write `reserved {n};` in {}", parent(name))),
                None => bad.push(format!("{name} is gone")),
            },
        }
    }
    for (name, is) in now.iter().filter(|(name, _)| !lock.contains_key(*name)) {
        let same = |(other, was): &(&String, &String)| parent(other) == parent(name) && number(was) == number(is);
        if let (Some(n), Some((other, _))) = (number(is), lock.iter().find(same)) {
            bad.push(format!("{name} takes number {n}, which was {other}"));
        }
    }
    bad
}
