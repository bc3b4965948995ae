//! Which keys a stream's name means: a plain path, or a pattern with `*`, `?` and `**`.
//!
//! Nothing else is special, so a key with brackets or braces can be named as it is.

/// A path below the connection's URL, or a pattern over such paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob {
    text: String,
}

impl Glob {
    /// Reads a stream's name. Steps such as `..`, empty ones, and control characters have no place in one.
    pub(super) fn read(name: &str) -> Result<Self, &'static str> {
        if name.is_empty() {
            return Err("the stream's name is empty: write a path or a pattern such as *.csv");
        }
        if name.len() > 1024 {
            return Err("the stream's name is longer than 1024 bytes");
        }
        if name.split('/').any(|step| step.is_empty() || step == "." || step == "..") {
            return Err(
                "the stream's name holds an empty step, `.` or `..`: write the path below the connection's url",
            );
        }
        if name.chars().any(char::is_control) {
            return Err("the stream's name holds a control character: match it with `?`");
        }
        if name.split('/').any(|step| step.contains("**") && step != "**") {
            return Err("`**` stands for whole directories: write it as a step of its own, such as orders/**/*.csv");
        }
        Ok(Self { text: name.to_owned() })
    }

    /// Whether it can mean more than one key.
    pub(super) fn is_pattern(&self) -> bool {
        self.text.contains(['*', '?'])
    }

    /// What every key that it means begins with.
    pub(super) fn prefix(&self) -> &str {
        let end = self.text.find(['*', '?']).unwrap_or(self.text.len());
        &self.text[..end]
    }

    /// Whether it means this key. `*` and `?` stay within a step; `**` is any number of steps, none included.
    pub(super) fn means(&self, key: &str) -> bool {
        let pattern: Vec<&str> = self.text.split('/').collect();
        let steps: Vec<&str> = key.split('/').collect();
        // reached[p] tells whether the first p steps of the pattern can take all steps of the key so far.
        let mut reached = vec![false; pattern.len() + 1];
        reached[0] = true;
        for at in 0..pattern.len() {
            reached[at + 1] = reached[at] && pattern[at] == "**";
        }
        for step in steps {
            let mut next = vec![false; pattern.len() + 1];
            for (at, part) in pattern.iter().enumerate() {
                next[at + 1] = if *part == "**" {
                    reached[at] || reached[at + 1] || next[at]
                } else {
                    reached[at] && step_matches(part, step)
                };
            }
            reached = next;
        }
        reached[pattern.len()]
    }
}

/// One step against one part: linear in memory, no backtracking beyond the last star.
fn step_matches(part: &str, step: &str) -> bool {
    let (part, step): (Vec<char>, Vec<char>) = (part.chars().collect(), step.chars().collect());
    let (mut p, mut s, mut star, mut mark) = (0, 0, None, 0);
    while s < step.len() {
        if p < part.len() && part[p] == '*' {
            star = Some(p);
            mark = s;
            p += 1;
        } else if p < part.len() && (part[p] == '?' || part[p] == step[s]) {
            p += 1;
            s += 1;
        } else if let Some(at) = star {
            p = at + 1;
            mark += 1;
            s = mark;
        } else {
            return false;
        }
    }
    part[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn means(pattern: &str, key: &str) -> bool {
        Glob::read(pattern).expect("pattern").means(key)
    }

    #[test]
    fn a_star_stays_within_a_directory_and_two_stars_do_not() {
        assert!(means("*.csv", "a.csv") && !means("*.csv", "d/a.csv"));
        assert!(means("orders/**/*.jsonl", "orders/a.jsonl") && means("orders/**/*.jsonl", "orders/x/y/a.jsonl"));
        assert!(!means("orders/**/*.jsonl", "order/a.jsonl") && means("**", "a/b/c"));
        assert!(means("a?c*d*e", "abcxxdyyye") && !means("a?c*d*e", "ac"));
        assert!(means("x[1].csv", "x[1].csv") && !means("x[1].csv", "x1.csv"));
    }

    #[test]
    fn names_that_climb_or_break_lines_are_refused() {
        for name in ["", "../x.csv", "a//b.csv", "/a.csv", "a/./b", "a\nb", "a**/b"] {
            assert!(Glob::read(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn the_prefix_ends_before_the_first_wild_card() {
        assert_eq!(Glob::read("orders/2026-*/a.csv").expect("pattern").prefix(), "orders/2026-");
        assert_eq!(Glob::read("a.csv").expect("pattern").prefix(), "a.csv");
    }
}
