//! Patterns of texts and of places below a root, as a guard lists them.

use std::fmt;
use std::str::FromStr;

/// A text, or every text that begins so: `env://SHOP_*`. A `*` stands at the end only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextPattern {
    text: String,
    open: bool,
}

impl TextPattern {
    /// Reads a pattern; none where it is empty or has a `*` elsewhere than at its end.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (start, open) = text.strip_suffix('*').map_or((text, false), |start| (start, true));
        let fits = !text.is_empty() && !start.contains('*');
        fits.then(|| Self { text: start.to_owned(), open })
    }

    /// Whether it covers a text as it stands. What follows an open pattern holds none of these characters.
    #[must_use]
    pub fn covers(&self, text: &str, never: &[char]) -> bool {
        match text.strip_prefix(self.text.as_str()) {
            Some("") => true,
            Some(rest) => self.open && !rest.contains(never),
            None => false,
        }
    }

    /// Whether it covers every text.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.open && self.text.is_empty()
    }

    /// Whether it covers what begins so.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open
    }

    /// What stands before the `*`.
    #[must_use]
    pub fn start(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for TextPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, if self.open { "*" } else { "" })
    }
}

/// A place and everything below it, told by whole parts: `/data/in` covers `/data/in/a`, not `/data/inner`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern(String);

impl PathPattern {
    /// Whether it covers a place, which must be written plainly: without empty parts, `.` or `..`.
    #[must_use]
    pub fn covers(&self, place: &str) -> bool {
        let below = place.strip_prefix(self.0.as_str());
        is_plain(place) && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || self.0.ends_with('/'))
    }
}

/// Whether no part of the path behind a scheme is empty, `.` or `..`.
pub(super) fn is_plain(place: &str) -> bool {
    let path = place.split_once("://").map_or(place, |(_, path)| path);
    let path = path.strip_prefix('/').unwrap_or(path);
    let fits = |part: &str| !matches!(part, "" | "." | "..") && !part.chars().any(crate::diagnostic::is_hidden);
    path.is_empty() || path.split('/').all(fits)
}

impl FromStr for PathPattern {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_plain(text) && !text.contains('*') {
            Ok(Self(text.to_owned()))
        } else {
            Err(
                "no part of it may be empty, `.`, `..` or `*`, and no slash stands at its end: what is below is covered",
            )
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_covers_whole_parts_below_it_and_no_detours() {
        let raw: PathPattern = "s3://lake/raw".parse().expect("a pattern");
        for (place, fits) in [
            ("s3://lake/raw", true),
            ("s3://lake/raw/orders", true),
            ("s3://lake/rawer", false),
            ("s3://lake", false),
            ("s3://lake/raw/../secret", false),
            ("s3://lake/raw//x", false),
            ("s3://lake/raw/.", false),
            ("s3://lake2/raw", false),
        ] {
            assert_eq!(raw.covers(place), fits, "{place}");
        }
        let root: PathPattern = "/".parse().expect("the root");
        assert!(root.covers("/data/x") && !root.covers("data/x") && !root.covers("/data/../x"));
        for text in ["/data/", "/a//b", "/a/../b", "s3://lake/*", "./x"] {
            assert!(text.parse::<PathPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_open_pattern_covers_what_begins_so() {
        let open = TextPattern::read("env://SHOP_*").expect("a pattern");
        assert!(open.covers("env://SHOP_PASSWORD", &['/']) && !open.covers("env://OTHER", &['/']));
        assert!(!open.covers("env://SHOP_a/b", &['/']));
        let one = TextPattern::read("env://SHOP").expect("a pattern");
        assert!(one.covers("env://SHOP", &[]) && !one.covers("env://SHOP2", &[]));
        assert!(TextPattern::read("a*b").is_none() && TextPattern::read("").is_none());
        assert!(TextPattern::read("*").is_some_and(|all| all.is_all()));
    }
}
