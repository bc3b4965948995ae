//! Globs over files: whether two of them could match one file.
//!
//! `*` and `?` stop at a slash, `**` does not. Each file belongs to one stream, or its rows would arrive twice.

use crate::diagnostic::{Code, Findings, show};
use crate::tree::Span;

/// Steps that comparing the names of one pipeline may take; a hostile file could ask for hours.
const MOST_STEPS: usize = 20_000_000;

/// Whether a stream's name stands for several tables or files.
pub(crate) fn is_glob(name: &str) -> bool {
    name.contains(['*', '?'])
}

#[derive(Clone, Copy, PartialEq)]
enum Token {
    One(char),
    AnyOne,
    Any,
    Deep,
}

impl Token {
    const fn repeats(self) -> bool {
        matches!(self, Self::Any | Self::Deep)
    }

    /// Whether one character could stand for both.
    fn meets(self, other: Self) -> bool {
        match (self, other) {
            (Self::One(a), Self::One(b)) => a == b,
            (Self::One('/'), Self::AnyOne | Self::Any) | (Self::AnyOne | Self::Any, Self::One('/')) => false,
            _ => true,
        }
    }
}

fn tokens(name: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        tokens.push(match c {
            '?' => Token::AnyOne,
            '*' if rest.next_if_eq(&'*').is_some() => Token::Deep,
            '*' => Token::Any,
            c => Token::One(c),
        });
    }
    tokens
}

/// Whether some file name matches both.
fn overlap(a: &[Token], b: &[Token]) -> bool {
    let width = b.len() + 1;
    let mut seen = vec![false; (a.len() + 1) * width];
    let mut open = vec![(0, 0)];
    while let Some((i, j)) = open.pop() {
        if std::mem::replace(&mut seen[i * width + j], true) {
            continue;
        }
        if i == a.len() && j == b.len() {
            return true;
        }
        let (left, right) = (a.get(i).copied(), b.get(j).copied());
        if left.is_some_and(Token::repeats) {
            open.push((i + 1, j));
        }
        if right.is_some_and(Token::repeats) {
            open.push((i, j + 1));
        }
        if let (Some(left), Some(right)) = (left, right)
            && left.meets(right)
        {
            open.push((i + usize::from(!left.repeats()), j + usize::from(!right.repeats())));
        }
    }
    false
}

/// Tells of every glob that meets another stream's files.
pub(crate) fn check_overlaps(streams: &[(&str, Span)], found: &mut Findings) {
    let patterns: Vec<Vec<Token>> = streams.iter().map(|(name, _)| tokens(name)).collect();
    let mut steps = 0_usize;
    for (n, (glob, _)) in streams.iter().enumerate().filter(|(_, (name, _))| is_glob(name)) {
        for (m, (other, at)) in streams.iter().enumerate() {
            if m == n || (m < n && is_glob(other)) {
                continue;
            }
            steps = steps.saturating_add((patterns[n].len() + 1) * (patterns[m].len() + 1));
            if steps > MOST_STEPS {
                found.add(Code::TooLarge, *at, "too many globs to compare; name fewer of them");
                return;
            }
            if overlap(&patterns[n], &patterns[m]) {
                tell((glob, &patterns[n]), (other, &patterns[m]), *at, found);
            }
        }
    }
}

fn tell(glob: (&str, &[Token]), other: (&str, &[Token]), at: Span, found: &mut Findings) {
    let weight = |tokens: &[Token]| tokens.iter().filter(|token| matches!(token, Token::One(_))).count();
    let tie = is_glob(other.0) && weight(glob.1) == weight(other.1);
    if tie {
        let message = format!(
            "{} and {} match the same files, and neither is the more specific one",
            show(glob.0),
            show(other.0)
        );
        found.suggest(Code::GlobTie, at, message, "narrow one of them, so that each file belongs to one stream");
    } else {
        let message = format!(
            "{} and {} match the same files; to leave files out of a glob is not built yet",
            show(glob.0),
            show(other.0)
        );
        found.suggest(Code::NotBuiltYet, at, message, "narrow the glob, so that each file belongs to one stream");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meet(a: &str, b: &str) -> bool {
        let (a, b) = (tokens(a), tokens(b));
        assert_eq!(overlap(&a, &b), overlap(&b, &a));
        overlap(&a, &b)
    }

    #[test]
    fn globs_meet_where_one_name_matches_both() {
        for (a, b) in [
            ("*.csv", "orders.csv"),
            ("a*", "*b"),
            ("**", "x/y/z"),
            ("x/**/z", "x/*/z"),
            ("?.csv", "*.csv"),
            ("**/a.csv", "x/y/a.csv"),
        ] {
            assert!(meet(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("*.csv", "*.jsonl"),
            ("*.csv", "in/orders.csv"),
            ("a*", "b*"),
            ("?", "ab"),
            ("x/*", "y/*"),
            ("a?c", "a/c"),
        ] {
            assert!(!meet(a, b), "{a} {b}");
        }
    }

    #[test]
    fn a_hostile_set_of_globs_is_refused_soon() {
        let names: Vec<String> = (0..1_000).map(|n| format!("{}{n}*", "*a".repeat(200))).collect();
        let streams: Vec<(&str, Span)> = names.iter().map(|name| (name.as_str(), Span::START)).collect();
        let mut found = Findings::default();
        check_overlaps(&streams, &mut found);
        assert!(found.into_vec().iter().any(|d| d.code == Code::TooLarge));
    }
}
