//! One text out of a JSON document, without a copy of anything else in it.

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor};
use zeroize::Zeroizing;

use super::Problem;

/// The text at this path of keys. A document that is none, or has something else on the way there, is told as `otherwise`.
pub(super) fn pick(document: &[u8], path: &[&str], otherwise: &'static str) -> Result<Zeroizing<String>, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(document);
    match (At { path }).deserialize(&mut reader) {
        Ok(Found::Text(text)) => reader.end().map(|()| text).map_err(|_| Problem::unusable(otherwise)),
        Ok(Found::Nothing) => Err(Problem::not_found("has no such key")),
        Ok(Found::Other) => {
            Err(Problem::unusable("has no text under that key: numbers, lists and objects are no secrets"))
        }
        Err(_) => Err(Problem::unusable(otherwise)),
    }
}

enum Found {
    Text(Zeroizing<String>),
    Nothing,
    Other,
}

struct At<'p> {
    path: &'p [&'p str],
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = Found;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Found, D::Error> {
        // Only the outermost value must be an object; what is asked for may be anything.
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let Some((wanted, rest)) = self.path.split_first() else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Found::Other);
        };
        let mut found = Found::Nothing;
        while let Some(is_wanted) = map.next_key_seed(IsKey(wanted))? {
            match (is_wanted, &found) {
                (true, Found::Nothing) => found = map.next_value_seed(At { path: rest })?,
                (true, _) => return Err(A::Error::custom("a key stands twice")),
                (false, _) => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Found, E> {
        match self.path {
            [] => Ok(Found::Text(Zeroizing::new(text.to_owned()))),
            _ => Err(E::custom("text")),
        }
    }

    fn visit_unit<E: Error>(self) -> Result<Found, E> {
        if self.path.is_empty() { Ok(Found::Other) } else { Ok(Found::Nothing) }
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Found, E> {
        self.other()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Found, E> {
        self.other()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Found, E> {
        self.other()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Found, E> {
        self.other()
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Found, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        self.other()
    }
}

impl At<'_> {
    fn other<E: Error>(&self) -> Result<Found, E> {
        if self.path.is_empty() { Ok(Found::Other) } else { Err(E::custom("no object")) }
    }
}

/// Whether a key is the wanted one; the key itself is not kept.
struct IsKey<'p>(&'p str);

impl<'de> DeserializeSeed<'de> for IsKey<'_> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for IsKey<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

#[cfg(test)]
mod tests {
    use waybill_model::FailureCode;
    use waybill_model::secret::SecretRef;

    use super::*;

    #[test]
    fn one_text_is_taken_and_everything_else_is_told_apart() {
        let document = br#"{"user":"u","n":{"password":"p\u00e4ss"},"port":5432,"none":null,"list":["a"],"twice":"a","twice":"b"}"#;
        let (gone, useless) = (FailureCode::SecretNotFound, FailureCode::SecretUnresolved);
        for (path, wanted) in [
            (&["user"][..], Ok("u")),
            (&["n", "password"], Ok("p\u{e4}ss")),
            (&["n", "nothing"], Err(gone)),
            (&["nothing"], Err(gone)),
            (&["nothing", "n"], Err(gone)),
            (&["none", "n"], Err(gone)),
            (&["n"], Err(useless)),
            (&["port"], Err(useless)),
            (&["none"], Err(useless)),
            (&["list"], Err(useless)),
            (&["twice"], Err(useless)),
            (&["user", "n"], Err(useless)),
        ] {
            let found = pick(document, path, "none").map_err(|p| p.fault(&SecretRef::Env("X".into())).code);
            assert_eq!(found.as_ref().map(|text| text.as_str()), wanted.as_ref().map(|text| *text), "{path:?}");
        }
        for text in ["", "hunter2", "\"hunter2\"", "[]", "{\"user\":\"u\"} and more", "{\"user\":\"u"] {
            let Err(problem) = pick(text.as_bytes(), &["user"], "none") else { panic!("{text} is an object") };
            let fault = problem.fault(&SecretRef::Env("X".into()));
            assert_eq!(fault.code, useless, "{text}");
            assert!(!fault.text.for_customer().contains("hunter2"));
        }
    }
}
