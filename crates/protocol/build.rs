//! Generates the wire types from `proto/` without protoc, the descriptor set that tests read, and the table by which
//! everything that a worker sends is weighed per egress class.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use protox::prost_reflect::{DescriptorPool, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value};

const FILES: [&str; 4] = [
    "waybill/egress/v1/egress.proto",
    "waybill/enrolment/v1/enrolment.proto",
    "waybill/worker/v1/worker.proto",
    "waybill/agent/v1/agent.proto",
];
const SERVICES: [&str; 4] = [
    "waybill.enrolment.v1.Enrolment",
    "waybill.worker.v1.Worker",
    "waybill.agent.v1.AgentEnrolment",
    "waybill.agent.v1.Agent",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    for file in FILES {
        println!("cargo:rerun-if-changed={}", root.join(file).display());
    }
    println!("cargo:rerun-if-changed=build.rs");
    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(FILES)?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("waybill.fds"), compiler.encode_file_descriptor_set())?;
    fs::write(out.join("egress_table.rs"), egress_table(&compiler.descriptor_pool())?)?;
    tonic_prost_build::configure().emit_rerun_if_changed(false).compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

/// Every message that a worker can send, with the class of each field. A field without a class is left out, so that
/// sending it is refused; the egress test names it.
fn egress_table(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let option = pool.get_extension_by_name("waybill.egress.v1.class").ok_or("no egress class option")?;
    let mut found = BTreeMap::new();
    for name in SERVICES {
        let service = pool.get_service_by_name(name).ok_or("no such service")?;
        service.methods().for_each(|method| collect(&method.input(), &mut found));
    }
    let places: BTreeMap<String, usize> = found.keys().cloned().enumerate().map(|(n, name)| (name, n)).collect();
    let mut text = String::from("static MESSAGES: &[Message] = &[\n");
    for (name, message) in &found {
        writeln!(text, "Message {{ name: {name:?}, fields: &[")?;
        for field in message.fields() {
            if let Some(content) = content(&field, &option, &places) {
                writeln!(text, "({}, {content}),", field.number())?;
            }
        }
        text.push_str("] },\n");
    }
    text.push_str("];\n");
    Ok(text)
}

fn collect(message: &MessageDescriptor, into: &mut BTreeMap<String, MessageDescriptor>) {
    if into.insert(message.full_name().to_owned(), message.clone()).is_none() {
        for field in message.fields() {
            if let Kind::Message(inner) = field.kind() {
                collect(&inner, into);
            }
        }
    }
}

fn content(field: &FieldDescriptor, option: &ExtensionDescriptor, places: &BTreeMap<String, usize>) -> Option<String> {
    if let Kind::Message(inner) = field.kind() {
        return Some(format!("Content::Message({})", places[inner.full_name()]));
    }
    let class = match field.options().get_extension(option).as_ref() {
        Value::EnumNumber(number) => *number,
        _ => 0,
    };
    (class > 0).then(|| format!("Content::Class({})", class - 1))
}
