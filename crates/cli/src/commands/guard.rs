//! `guard`: a first guard for pipelines, its mistakes, and what it lets them do. All offline, with the worker's own code.

use std::path::{Path, PathBuf};

use serde::Serialize;
use waybill_model::Micros;
use waybill_model::plan::Plan;
use waybill_spec::guard::{self, Guard, Refusal};
use waybill_spec::{Diagnostic, Document};

use crate::args;
use crate::commands::{sign, validate};
use crate::drawing::draw;
use crate::exit::{Exit, Failure, Result};
use crate::output::{Output, Row};

pub(crate) fn guard(command: args::Guard, output: &Output) -> Result<Exit> {
    match command {
        args::Guard::Init { file } => init(file.as_deref(), output),
        args::Guard::Lint { file } => lint(&file, output),
        args::Guard::Test { file, guard, signatures } => test(&file, &guard, signatures.as_deref(), output),
    }
}

/// A guard that allows the pipelines of a file, or nothing.
fn init(file: Option<&Path>, output: &Output) -> Result<Exit> {
    let plans = match file {
        Some(file) => plans(&document(file, output)?),
        None => Vec::new(),
    };
    output.text(&guard::draft(&plans))?;
    Ok(Exit::Done)
}

/// What was found in a guard.
#[derive(Serialize)]
struct Linted {
    file: String,
    valid: bool,
    diagnostics: Vec<Diagnostic>,
    remarks: Vec<String>,
}

impl Row for Linted {
    const HEADER: &'static [&'static str] = &["FILE", "VALID", "MISTAKES", "REMARKS"];

    fn cells(&self) -> Vec<String> {
        let valid = if self.valid { "✓ yes" } else { "✗ no" };
        let (mistakes, remarks) = (self.diagnostics.len().to_string(), self.remarks.len().to_string());
        vec![self.file.clone(), valid.to_owned(), mistakes, remarks]
    }

    fn name(&self) -> String {
        self.file.clone()
    }
}

fn lint(file: &Path, output: &Output) -> Result<Exit> {
    let (name, text) = (validate::shown(file), validate::read(file)?);
    let linted = match Guard::parse(&text) {
        Ok(guard) => {
            let remarks = guard::lint(&guard, Micros::now());
            if output.is_table() {
                remarks.iter().for_each(|remark| output.say(&format!("! {name}, {remark}")));
            }
            Linted { file: name, valid: true, diagnostics: Vec::new(), remarks }
        }
        Err(diagnostics) => {
            show(&name, &text, &diagnostics, output);
            Linted { file: name, valid: false, diagnostics, remarks: Vec::new() }
        }
    };
    let exit = if linted.valid { Exit::Done } else { Exit::Invalid };
    output.list(&[linted], None)?;
    Ok(exit)
}

/// What a guard says of one pipeline.
#[derive(Serialize)]
struct Judged {
    pipeline: String,
    allowed: bool,
    refusals: Vec<Refused>,
}

/// One refusal.
#[derive(Serialize)]
struct Refused {
    reason: &'static str,
    failure: &'static str,
    key: &'static str,
    line: u32,
    message: String,
}

impl From<&Refusal> for Refused {
    fn from(refusal: &Refusal) -> Self {
        Self {
            reason: refusal.reason.as_str(),
            failure: refusal.reason.failure().as_str(),
            key: refusal.key,
            line: refusal.line,
            message: crate::output::clean(&refusal.message),
        }
    }
}

impl Row for Judged {
    const HEADER: &'static [&'static str] = &["PIPELINE", "ALLOWED", "REASONS"];

    fn cells(&self) -> Vec<String> {
        let mut reasons: Vec<&str> = self.refusals.iter().map(|refusal| refusal.reason).collect();
        reasons.dedup();
        let reasons = if reasons.is_empty() { "–".to_owned() } else { reasons.join(", ") };
        vec![self.pipeline.clone(), if self.allowed { "✓ yes" } else { "✗ no" }.to_owned(), reasons]
    }

    fn name(&self) -> String {
        self.pipeline.clone()
    }
}

/// Holds every pipeline of a file against a guard, as a worker would.
fn test(file: &Path, guard_file: &Path, signatures: Option<&Path>, output: &Output) -> Result<Exit> {
    let document = document(file, output)?;
    let (name, text) = (validate::shown(guard_file), validate::read(guard_file)?);
    let guard = Guard::parse(&text).map_err(|diagnostics| {
        show(&name, &text, &diagnostics, output);
        Failure::new(Exit::Invalid, "guard_unreadable", format!("{name} has mistakes: a worker would run nothing"))
            .next(format!("mend them, then `waybill guard lint {name}`"))
    })?;
    let signed = sign::beside(file, signatures)?;
    let now = Micros::now();
    let mut judged = Vec::new();
    for plan in plans(&document) {
        let signature = signed.iter().find(|one| one.pipeline == plan.pipeline).map(|one| one.signature.as_str());
        let mut refusals = guard::evaluate(&guard, &plan, now);
        let bytes = waybill_spec::plan_canonical(&plan);
        refusals.extend(waybill_spec::sign::check_signature(&guard, bytes.as_bytes(), signature, now));
        if output.is_table() {
            let found: Vec<Diagnostic> = refusals.iter().map(Refusal::diagnostic).collect();
            show(&name, &text, &found, output);
        }
        let allowed = refusals.is_empty();
        judged.push(Judged {
            pipeline: plan.pipeline,
            allowed,
            refusals: refusals.iter().map(Refused::from).collect(),
        });
    }
    output.list(&judged, None)?;
    Ok(if judged.iter().all(|one| one.allowed) { Exit::Done } else { Exit::Invalid })
}

fn show(file: &str, text: &str, found: &[Diagnostic], output: &Output) {
    if output.is_table() && !found.is_empty() {
        output.say(draw(file, text, found, output.terminal).trim_end());
    }
}

pub(super) fn document(file: &Path, output: &Output) -> Result<Document> {
    let text = validate::valid_text(Some(file), output)?;
    waybill_spec::parse(&text).map_err(|_| {
        Failure::new(Exit::Invalid, "spec_invalid", "the file has mistakes").next("waybill validate shows each")
    })
}

/// The plans of all pipelines, in the order of their names.
pub(super) fn plans(document: &Document) -> Vec<Plan> {
    document.pipelines.keys().filter_map(|name| document.plan(name)).collect()
}

/// Where a file's signatures stand: beside it.
pub(super) fn signatures_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sig");
    PathBuf::from(name)
}
