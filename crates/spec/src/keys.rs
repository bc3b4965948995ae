//! The keys of a pipeline file: the one list from which checking, suggestions and the JSON Schema are made.
//!
//! A key that is known but has no behaviour yet stands here too, marked so that it is refused with `not_built_yet`.

/// The texts of a named enum of the model, for [`Shape::Choice`].
macro_rules! names {
    ($name:ty) => {{
        const COUNT: usize = <$name>::ALL.len();
        const TEXTS: [&str; COUNT] = {
            let mut texts = [""; COUNT];
            let mut n = 0;
            while n < COUNT {
                texts[n] = <$name>::ALL[n].as_str();
                n += 1;
            }
            texts
        };
        &TEXTS
    }};
}

mod connection;
mod pipeline;
mod rule;

pub(crate) use connection::{CONNECTION, refused_option};
pub(crate) use pipeline::PIPELINE;
pub(crate) use rule::{
    ACCOUNT, AWS_KEY, BUCKET, CLIENT, CONTAINER, FOREIGN, GCS_BUCKET, KMS_KEY, NAME, PROJECT, REGION, Rule, SCOPE,
    TENANT,
};

/// What a value must look like.
pub(crate) enum Shape {
    /// Text that obeys a rule.
    Text(Rule),
    /// Any scalar, taken as the text that stands there.
    Scalar,
    /// `true` or `false`.
    Flag,
    /// A whole number within bounds.
    Count(u64, u64),
    /// A size in bytes with its unit, at least and at most this many bytes.
    Size(u64, u64),
    /// A duration with its unit, at least and at most this many milliseconds.
    Duration(u64, u64),
    /// CPUs of a worker: whole ones, 0.25 or 0.5 of one, or units of which 1024 are one.
    Cpu,
    /// `off`, or a share such as `50%`.
    Share,
    /// A change in percent, which may be above all there was.
    Percent,
    /// One of the first list; the second list is known but not built.
    Choice(&'static [&'static str], &'static [&'static str]),
    /// A reference to a secret.
    Secret,
    /// Text that obeys a rule, or a reference to where it lies.
    TextOrSecret(Rule),
    /// A list.
    List(&'static Shape),
    /// One word, or a list.
    WordOrList(&'static str, &'static Shape),
    /// A mapping whose keys are names that obey the rule; the text names one entry in messages.
    Named(&'static str, Rule, &'static Shape),
    /// A mapping of these keys.
    Table(&'static Table),
    /// A mapping whose `type` chooses the keys.
    Tagged(&'static Tagged),
}

/// A mapping of fixed keys.
pub(crate) struct Table {
    /// What it describes, for the schema.
    pub(crate) doc: &'static str,
    /// Its keys.
    pub(crate) keys: &'static [Key],
}

/// Mappings told apart by their `type`.
pub(crate) struct Tagged {
    /// What it describes, for the schema.
    pub(crate) doc: &'static str,
    /// Types and their keys.
    pub(crate) types: &'static [(&'static str, Table)],
    /// Types that are known but not built.
    pub(crate) later: &'static [&'static str],
    /// Whether the bare name of a type may stand for a mapping that has nothing but it.
    pub(crate) short: bool,
}

/// One key.
pub(crate) struct Key {
    /// As written.
    pub(crate) name: &'static str,
    /// What its value must look like.
    pub(crate) shape: Shape,
    /// Whether it must be there.
    pub(crate) required: bool,
    /// Whether it has behaviour.
    pub(crate) built: bool,
    /// What it says, for the schema and the reference.
    pub(crate) doc: &'static str,
}

impl Key {
    pub(crate) const fn new(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self { name, shape, required: false, built: true, doc }
    }

    pub(crate) const fn must(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self { name, shape, required: true, built: true, doc }
    }

    /// Known, without behaviour.
    pub(crate) const fn later(name: &'static str) -> Self {
        Self { name, shape: Shape::Scalar, required: false, built: false, doc: "" }
    }
}

/// The version of the format that this program reads.
pub(crate) const VERSION: u64 = 1;

/// A whole file.
pub(crate) static DOCUMENT: Table = Table {
    doc: "A Waybill pipeline file",
    keys: &[
        Key::must("waybill", Shape::Count(VERSION, VERSION), "Version of this format."),
        Key::new(
            "connections",
            Shape::Named("connection", NAME, &Shape::Tagged(&CONNECTION)),
            "Systems that a worker can reach, by name.",
        ),
        Key::new(
            "pipelines",
            Shape::Named("pipeline", NAME, &Shape::Table(&PIPELINE)),
            "What is moved from where to where, by name.",
        ),
        Key::later("alerts"),
    ],
};

/// Words that people bring from elsewhere, and what they are called here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("source", "from"),
    ("src", "from"),
    ("destination", "to"),
    ("target", "to"),
    ("sink", "to"),
    ("tables", "streams"),
    ("defaults", "every-stream"),
    ("mode", "load"),
    ("sync-mode", "load"),
    ("update-key", "cursor"),
    ("cursor-field", "cursor"),
    ("where", "filter"),
    ("exclude", "drop"),
    ("include", "select"),
    ("dbname", "database"),
    ("username", "user"),
    ("pass", "password"),
    ("pwd", "password"),
    ("hostname", "host"),
    ("server", "host"),
    ("ssl", "tls"),
    ("dir", "path"),
    ("directory", "path"),
    ("timezone", "zone"),
    ("memory-limit", "memory"),
    ("concurrency", "parallel"),
    ("kind", "type"),
];

/// The known word that `word` most likely means.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > 64 {
        return None;
    }
    let word = word.to_lowercase().replace('_', "-");
    let other = ELSEWHERE.iter().find(|(theirs, _)| *theirs == word).map(|(_, ours)| *ours);
    known
        .map(|candidate| {
            let far = if Some(candidate) == other {
                0
            } else {
                strsim::damerau_levenshtein(&word, &candidate.to_lowercase())
            };
            (far, candidate)
        })
        .filter(|(far, candidate)| *far <= (candidate.len() / 3).clamp(1, 3))
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_or_another_products_word_finds_the_key() {
        let known = ["columns", "cursor", "load", "take-over"];
        for (written, meant) in
            [("colums", "columns"), ("cusror", "cursor"), ("mode", "load"), ("take_over", "take-over")]
        {
            assert_eq!(nearest(written, known.into_iter()), Some(meant));
        }
        assert_eq!(nearest("banana", known.into_iter()), None);
        assert_eq!(nearest(&"c".repeat(10_000), known.into_iter()), None);
    }
}
