//! Terraform's template language, as far as the policies of the launch role use it: text with `${name}`, which is a text or
//! a list of texts, and nothing else. Every other construct of that language is refused, so that what is printed here can't differ from what Terraform applies.

/// Why a template can't be rendered: a defect of the template or of its values, found by the tests.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A construct that is not known here: a directive, an escape, an expression.
    #[error("the template holds a construct that is not known here, behind {0:?}")]
    Construct(String),
    /// No value of this name was given.
    #[error("the template asks for {0:?}, which has no value")]
    NoValue(String),
    /// A value would end the JSON text that it stands in.
    #[error("the value of {0:?} can't stand in a JSON text")]
    Value(String),
}

/// What a name stands for.
#[derive(Clone, Copy)]
pub(super) enum Value<'v> {
    /// Text, as it is.
    Text(&'v str),
    /// Texts as a JSON list, written as Terraform's `jsonencode` writes it.
    List(&'v [String]),
}

/// Puts values where their names stand.
pub(super) fn render(template: &str, values: &[(&str, Value<'_>)]) -> Result<String, TemplateError> {
    let (mut done, mut rest) = (String::with_capacity(template.len() * 2), template);
    while let Some(at) = rest.find(['$', '%']) {
        let (before, from) = rest.split_at(at);
        done.push_str(before);
        let strange =
            || TemplateError::Construct(before.chars().rev().take(32).collect::<Vec<_>>().iter().rev().collect());
        if !opens(from) {
            // A sign that opens nothing is text.
            let (sign, behind) = from.split_at(1);
            done.push_str(sign);
            rest = behind;
            continue;
        }
        let (name, behind) = from.strip_prefix("${").and_then(|from| from.split_once('}')).ok_or_else(strange)?;
        if !is_name(name) {
            return Err(strange());
        }
        put(&mut done, name, value(values, name)?)?;
        rest = behind;
    }
    done.push_str(rest);
    Ok(done)
}

/// Whether an interpolation, a directive, or the escape of one begins here.
fn opens(text: &str) -> bool {
    ["${", "%{", "$${", "%%{"].iter().any(|sign| text.starts_with(sign))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

fn value<'v>(values: &[(&str, Value<'v>)], name: &str) -> Result<Value<'v>, TemplateError> {
    let found = values.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| *value).ok_or_else(|| TemplateError::NoValue(name.to_owned()))
}

fn put(done: &mut String, name: &str, value: Value<'_>) -> Result<(), TemplateError> {
    let plain = |text: &str| text.chars().all(|c| !c.is_control() && c != '"' && c != '\\');
    match value {
        Value::Text(text) if plain(text) => done.push_str(text),
        // What jsonencode escapes beside these is refused too: then a quoted text is its JSON.
        Value::List(texts) if texts.iter().all(|text| plain(text) && !text.contains(['<', '>', '&'])) => {
            let quoted: Vec<String> = texts.iter().map(|text| format!("\"{text}\"")).collect();
            done.push_str(&format!("[{}]", quoted.join(",")));
        }
        _ => return Err(TemplateError::Value(name.to_owned())),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: &[(&str, Value<'_>)] = &[
        ("partition", Value::Text("aws-cn")),
        ("task_role", Value::Text("a/b")),
        ("dollar", Value::Text("${partition}")),
    ];

    #[test]
    fn names_become_their_values_and_all_else_stays_as_it_is() {
        for (template, text) in [
            ("", ""),
            ("arn:${partition}:iam::1:role/${task_role}\n", "arn:aws-cn:iam::1:role/a/b\n"),
            ("{ \"a\": 100 %, 5 $ }", "{ \"a\": 100 %, 5 $ }"),
            ("${dollar}", "${partition}"),
            ("ends in $", "ends in $"),
        ] {
            assert_eq!(render(template, VALUES).as_deref(), Ok(text));
        }
    }

    #[test]
    fn a_construct_that_is_not_known_is_refused_and_never_printed() {
        for template in [
            "%{ if partition ~}x%{ endif ~}",
            "$${partition}",
            "%%{ x",
            "${ partition }",
            "${~partition}",
            "${jsonencode(partition)}",
            "${partition",
            "${}",
            "${\"x\"}",
        ] {
            assert!(matches!(render(template, VALUES), Err(TemplateError::Construct(_))), "{template}");
        }
        assert_eq!(render("${region}", VALUES), Err(TemplateError::NoValue("region".into())));
        for value in ["a\"b", "a\\b", "a\nb"] {
            assert_eq!(render("${x}", &[("x", Value::Text(value))]), Err(TemplateError::Value("x".into())));
        }
    }

    #[test]
    fn a_list_is_a_json_list_and_no_text_ends_it() {
        let render = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            render("{ \"a\": ${x} }", &[("x", Value::List(&texts))])
        };
        assert_eq!(render(&["arn:a", "arn:b:*"]).as_deref(), Ok("{ \"a\": [\"arn:a\",\"arn:b:*\"] }"));
        assert_eq!(render(&[]).as_deref(), Ok("{ \"a\": [] }"));
        for text in ["a\"b", "a\\b", "a\nb", "a<b", "a&b"] {
            assert_eq!(render(&["fine", text]), Err(TemplateError::Value("x".into())), "{text}");
        }
    }
}
