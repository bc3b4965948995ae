//! Enums in answers: a client must live with a value that a newer server made.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

/// A closed list of words on the side that sends it.
pub trait Words: Copy + 'static {
    /// Name of its schema.
    const NAME: &'static str;
    /// Every value that this version knows.
    const WORDS: &'static [Self];
    /// The word on the wire.
    fn word(self) -> &'static str;
}

/// A known value, or the word that this version does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Open<T> {
    /// A value of the list.
    Known(T),
    /// Any other word.
    Unknown(String),
}

impl<T: Words> Open<T> {
    /// The value of a word.
    #[must_use]
    pub fn read(word: &str) -> Self {
        let known = T::WORDS.iter().copied().find(|value| value.word() == word);
        known.map_or_else(|| Self::Unknown(word.to_owned()), Self::Known)
    }

    /// The word on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(value) => value.word(),
            Self::Unknown(word) => word,
        }
    }

    /// The value, where this version knows it.
    #[must_use]
    pub fn known(&self) -> Option<T> {
        match self {
            Self::Known(value) => Some(*value),
            Self::Unknown(_) => None,
        }
    }
}

impl<T> From<T> for Open<T> {
    fn from(value: T) -> Self {
        Self::Known(value)
    }
}

impl<T: Words + PartialEq> PartialEq<T> for Open<T> {
    fn eq(&self, other: &T) -> bool {
        matches!(self, Self::Known(value) if value == other)
    }
}

impl<T: Words> fmt::Display for Open<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<T: Words> Serialize for Open<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de, T: Words> Deserialize<'de> for Open<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self::read(&Cow::<str>::deserialize(from)?))
    }
}

impl<T: Words> utoipa::PartialSchema for Open<T> {
    fn schema() -> RefOr<Schema> {
        let words: Vec<&str> = T::WORDS.iter().map(|value| value.word()).collect();
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(words))
            .description(Some("A newer server may send other words."))
            .build()
            .into()
    }
}

impl<T: Words> utoipa::ToSchema for Open<T> {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed(T::NAME)
    }
}

macro_rules! words {
    ($($type:path => $alias:ident, $name:literal;)+) => { $(
        #[doc = concat!("`", $name, "` as it stands in answers.")]
        pub type $alias = Open<$type>;

        impl Words for $type {
            const NAME: &'static str = $name;
            const WORDS: &'static [Self] = Self::ALL;
            fn word(self) -> &'static str {
                self.as_str()
            }
        }
    )+ };
}

words! {
    waybill_model::run::RunKind => RunKindWord, "RunKind";
    waybill_model::role::OrganizationRole => OrganizationRoleWord, "OrganizationRole";
    waybill_model::role::ProjectRole => ProjectRoleWord, "ProjectRole";
    waybill_model::role::ServiceRole => ServiceRoleWord, "ServiceRole";
    waybill_model::run::Desired => DesiredWord, "Desired";
    waybill_model::run::RunState => RunStateWord, "RunState";
    waybill_model::run::AttemptState => AttemptStateWord, "AttemptState";
    waybill_model::run::StreamState => StreamStateWord, "StreamState";
    waybill_model::receipt::Grade => GradeWord, "Grade";
    waybill_model::failure::FailureCode => FailureCodeWord, "FailureCode";
}

#[cfg(test)]
mod tests {
    use super::*;
    use waybill_model::run::RunState;

    #[test]
    fn a_word_of_a_newer_server_is_kept_and_printed_back() {
        let state: Open<RunState> = serde_json::from_str("\"paused\"").expect("any word");
        assert_eq!(state.known(), None);
        assert_eq!(serde_json::to_string(&state).expect("json"), "\"paused\"");
        let state: Open<RunState> = serde_json::from_str("\"failed\"").expect("any word");
        assert_eq!(state, RunState::Failed);
    }
}
