//! Law 2 read from the descriptors: what a worker sends is classified field by field, and everything is commented.

use std::collections::BTreeSet;

use prost_reflect::{DescriptorPool, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor, Value};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use waybill_model::egress::EgressClass;

const EGRESS: &str = include_str!("../../../proto/waybill/egress/v1/egress.proto");

#[test]
fn every_field_that_a_worker_sends_has_an_egress_class() {
    assert_eq!(unclassified(&ours()), Vec::<String>::new());
}

#[test]
fn every_message_field_and_enum_is_commented_and_zero_is_unspecified() {
    assert_eq!(ill_mannered(&ours()), Vec::<String>::new());
}

#[test]
fn the_requests_of_the_services_are_exactly_the_outgoing_messages() {
    let sent: BTreeSet<String> = requests(&ours()).iter().map(|m| m.full_name().to_owned()).collect();
    let allowed: BTreeSet<String> = waybill_protocol::egress::OUTGOING.iter().map(|n| (*n).to_owned()).collect();
    assert_eq!(sent, allowed);
}

#[test]
fn the_classes_of_the_protos_are_those_of_the_model() {
    let pool = ours();
    let class = pool.get_enum_by_name("waybill.egress.v1.Class").expect("the enum");
    let names: Vec<String> =
        class.values().filter(|v| v.number() > 0).map(|v| v.name()["CLASS_".len()..].to_lowercase()).collect();
    assert_eq!(names, EgressClass::ALL.map(|c| c.as_str().to_owned()));
    for (place, value) in class.values().filter(|v| v.number() > 0).enumerate() {
        assert_eq!(value.number() as usize, place + 1, "{}", value.name());
    }
}

#[test]
fn a_planted_text_field_without_a_class_is_found_however_deep() {
    let pool = planted(
        "message Req { // x\n repeated Deep deep = 1; }
         message Deep { string note = 1; bytes blob = 2; uint64 rows = 3; uint64 ok = 4 [(waybill.egress.v1.class) = CLASS_COUNT]; }",
    );
    assert_eq!(unclassified(&pool), ["test.Deep.note", "test.Deep.blob", "test.Deep.rows"]);
}

#[test]
fn a_planted_class_outside_the_list_is_found() {
    let pool = planted("message Req { string s = 1 [(waybill.egress.v1.class) = CLASS_UNSPECIFIED]; }");
    assert_eq!(unclassified(&pool), ["test.Req.s"]);
    let source = "message Req { map<string, string> labels = 1; }";
    assert_eq!(unclassified(&planted(source)).len(), 2);
}

#[test]
fn planted_bad_manners_are_found() {
    let pool = planted("message Req { bool b = 1; }\n// Commented.\nenum Bad { BAD_FIRST = 0; }");
    let found = ill_mannered(&pool);
    for expected in ["test.Req: no comment", "test.Req.b: no comment", "test.Bad: zero is not UNSPECIFIED"] {
        assert!(found.iter().any(|f| f == expected), "{expected} not in {found:?}");
    }
}

fn ours() -> DescriptorPool {
    DescriptorPool::decode(waybill_protocol::FILE_DESCRIPTOR_SET).expect("the exported descriptors")
}

struct Memory(String);

impl FileResolver for Memory {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            "test.proto" => File::from_source(name, &self.0),
            "waybill/egress/v1/egress.proto" => File::from_source(name, EGRESS),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

fn planted(body: &str) -> DescriptorPool {
    let head = "syntax = \"proto3\";\npackage test;\nimport \"waybill/egress/v1/egress.proto\";\n";
    let service = "\nmessage Res {}\nservice S { rpc Call(stream Req) returns (Res); }\n";
    let mut resolver = ChainFileResolver::new();
    resolver.add(Memory(format!("{head}{body}{service}")));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(true);
    compiler.open_file("test.proto").expect("the planted proto parses");
    DescriptorPool::decode(&compiler.encode_file_descriptor_set()[..]).expect("its descriptors")
}

fn requests(pool: &DescriptorPool) -> Vec<MessageDescriptor> {
    pool.services().flat_map(|s| s.methods().map(|m| m.input()).collect::<Vec<_>>()).collect()
}

/// Fields on the request side, at any depth, that carry no class of the list.
fn unclassified(pool: &DescriptorPool) -> Vec<String> {
    let option = pool.get_extension_by_name("waybill.egress.v1.class").expect("the option");
    let class_of = |field: &FieldDescriptor| match field.options().get_extension(&option).as_ref() {
        Value::EnumNumber(n) => *n,
        _ => 0,
    };
    let mut open = requests(pool);
    let mut seen = BTreeSet::new();
    let mut bad = Vec::new();
    while let Some(message) = open.pop() {
        if !seen.insert(message.full_name().to_owned()) {
            continue;
        }
        for field in message.fields() {
            match field.kind() {
                Kind::Message(inner) => open.push(inner),
                _ if (1..=EgressClass::ALL.len() as i32).contains(&class_of(&field)) => {}
                _ => bad.push(field.full_name().to_owned()),
            }
        }
    }
    bad
}

/// Messages, fields, enums, values, services and methods without a comment; enums whose zero is something.
fn ill_mannered(pool: &DescriptorPool) -> Vec<String> {
    let mut bad = Vec::new();
    for file in pool.files().filter(|f| !f.name().starts_with("google/")) {
        let mut need = |name: &str, path: &[i32]| {
            if !commented(&file, path) {
                bad.push(format!("{name}: no comment"));
            }
        };
        for message in file.messages() {
            need(message.full_name(), message.path());
            message.fields().for_each(|f| need(f.full_name(), f.path()));
        }
        for each in file.enums() {
            need(each.full_name(), each.path());
            each.values().for_each(|v| need(v.full_name(), v.path()));
        }
        for service in file.services() {
            need(service.full_name(), service.path());
            service.methods().for_each(|m| need(m.full_name(), m.path()));
        }
        for each in file.enums() {
            if !each.get_value(0).is_some_and(|zero| zero.name().ends_with("_UNSPECIFIED")) {
                bad.push(format!("{}: zero is not UNSPECIFIED", each.full_name()));
            }
        }
    }
    bad
}

fn commented(file: &FileDescriptor, path: &[i32]) -> bool {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    info.is_some_and(|info| {
        info.location
            .iter()
            .any(|l| l.path == path && l.leading_comments.as_ref().is_some_and(|c| !c.trim().is_empty()))
    })
}
