//! Of which columns of a stream the values are summed at both ends. Columns bear the source's names, as in a filter.

use serde::{Deserialize, Serialize};

/// Columns whose sums the source and the worker compute apart, to be compared before the commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Checksums {
    /// None: the source is asked for nothing more.
    #[default]
    Off,
    /// All that the stream delivers.
    All,
    /// These.
    Of(Vec<String>),
}

impl Checksums {
    /// Whether nothing is summed.
    #[must_use]
    pub fn is_off(&self) -> bool {
        *self == Self::Off
    }

    /// Whether a column is summed that the stream delivers.
    #[must_use]
    pub fn takes(&self, column: &str) -> bool {
        match self {
            Self::Off => false,
            Self::All => true,
            Self::Of(columns) => columns.iter().any(|one| one == column),
        }
    }

    /// The word that stands for the columns, where one does.
    #[must_use]
    pub fn word(&self) -> Option<&'static str> {
        (*self == Self::All).then_some("all")
    }

    /// The columns that are named.
    #[must_use]
    pub fn named(&self) -> &[String] {
        match self {
            Self::Off | Self::All => &[],
            Self::Of(columns) => columns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_takes_every_column_and_a_list_those_that_it_names() {
        let of = Checksums::Of(vec!["a".to_owned()]);
        assert_eq!([&Checksums::Off, &Checksums::All, &of].map(|sums| sums.takes("a")), [false, true, true]);
        assert_eq!([&Checksums::Off, &Checksums::All, &of].map(|sums| sums.takes("b")), [false, true, false]);
        assert_eq!(serde_json::to_string(&of).expect("json"), r#"{"of":["a"]}"#);
        assert_eq!(serde_json::from_str::<Checksums>(r#""all""#).expect("a word"), Checksums::All);
    }
}
