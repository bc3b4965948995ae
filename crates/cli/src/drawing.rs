//! Draws the mistakes of a pipeline file: the line, what is marked in it, and what to do.
//!
//! The line is shown with its secrets hidden, since a file that is refused may hold one.

use std::fmt;

use miette::{
    Diagnostic as _, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceCode,
    SourceSpan, SpanContents,
};
use waybill_spec::{Code, Diagnostic, redact};

use crate::terminal::Terminal;

/// One mistake as miette wants it.
struct Drawn {
    title: String,
    help: String,
    label: LabeledSpan,
    source: Lines,
}

impl fmt::Debug for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)
    }
}

impl fmt::Display for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)
    }
}

impl std::error::Error for Drawn {}

impl miette::Diagnostic for Drawn {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(std::iter::once(self.label.clone())))
    }
}

/// The file's text, of which a drawing shows the one line that is marked: its neighbours say nothing of the mistake.
struct Lines {
    file: String,
    text: String,
}

impl SourceCode for Lines {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        _before: usize,
        _after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let before = self.text.get(..span.offset()).ok_or(MietteError::OutOfBounds)?;
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text[start..].split('\n').next().unwrap_or_default();
        let number = before.matches('\n').count();
        let whole = SourceSpan::from((start, line.len()));
        let column = before[start..].chars().count();
        let (file, line) = (self.file.clone(), line.as_bytes());
        let contents = MietteSpanContents::new_named(file, line, whole, number, column, number + 1);
        Ok(Box::new(contents))
    }
}

/// All mistakes of one file.
pub(crate) fn draw(file: &str, text: &str, diagnostics: &[Diagnostic], terminal: Terminal) -> String {
    let theme = if terminal.color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(terminal.width).with_links(false);
    let hidden = redact(text, diagnostics);
    let mut drawing = String::new();
    for diagnostic in diagnostics {
        let drawn = Drawn {
            title: format!("{}  [{}]", diagnostic.message, diagnostic.code.as_str()),
            help: help(diagnostic.code).to_owned(),
            label: label(&hidden, diagnostic),
            source: Lines { file: file.to_owned(), text: hidden.clone() },
        };
        debug_assert!(drawn.code().is_none(), "the code stands in the title");
        if handler.render_report(&mut drawing, &drawn).is_err() {
            // Drawing into a string fails only on a span outside the text; the facts are still worth telling.
            drawing.push_str(&format!("  × {} ({file}:{}:{})\n", drawn.title, diagnostic.line, diagnostic.column));
        }
        drawing.push('\n');
    }
    drawing
}

fn label(text: &str, diagnostic: &Diagnostic) -> LabeledSpan {
    let line_start: usize =
        text.split_inclusive('\n').take(diagnostic.line.saturating_sub(1) as usize).map(str::len).sum();
    let line = text[line_start..].split('\n').next().unwrap_or_default();
    let offset = |column: u32| {
        let column = column.saturating_sub(1) as usize;
        line.char_indices().nth(column).map_or(line.len(), |(byte, _)| byte)
    };
    let (from, to) = (offset(diagnostic.column), offset(diagnostic.end_column));
    let said = diagnostic.suggestion.clone().unwrap_or_else(|| "here".to_owned());
    LabeledSpan::new(Some(said), line_start + from, to.saturating_sub(from).max(usize::from(from < line.len())))
}

const fn help(code: Code) -> &'static str {
    match code {
        Code::NotBuiltYet => "waybill schema prints every key that is built",
        Code::LiteralSecret | Code::SecretReference => {
            "the worker resolves references in your own cloud; nothing else sees them"
        }
        Code::Cron | Code::Zone => "minute, hour, day of month, month, day of week, in an IANA zone",
        _ => "waybill schema | examples/*.waybill.yaml",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Terminal = Terminal { color: false, progress: false, asks: false, width: 100 };

    fn drawn(text: &str) -> String {
        draw("shop.waybill.yaml", text, &waybill_spec::parse(text).expect_err("a mistake"), PLAIN)
    }

    #[test]
    fn a_mistake_is_drawn_with_file_line_column_and_suggestion() {
        let text = "waybill: 1\nconnections:\n  a: { type: sqlite, path: x }\n  b: { type: local, path: y }\npipelines:\n  p: { from: a, to: b, streams: { t: { colums: {} } } }\n";
        let drawn = drawn(text);
        assert!(drawn.contains("× unknown field `colums` in stream `t`  [spec_unknown_field]"), "{drawn}");
        assert!(drawn.contains("[shop.waybill.yaml:6:40]") && drawn.contains("did you mean `columns`?"), "{drawn}");
        assert!(!drawn.contains('\u{1b}'), "{drawn}");
    }

    #[test]
    fn the_drawn_line_hides_its_secret() {
        for text in [
            "waybill: 1\nconnections:\n  a: { type: postgres, host: h, database: d, user: u, password: hunter2 }\n",
            "waybill: 1\nconnections:\n  a: { type: postgres, host: h, database: d, user: u, pasword: hunter2 }\n",
            "waybill: 1\nconnections:\n\ta: { type: postgres, password: hunter2 }\n",
            "waybill: 1\nconnections:\n  a: { type: postgres, url: postgres://u:hunter2@h/d }\n",
        ] {
            let drawn = drawn(text);
            assert!(!drawn.contains("hunter2") && drawn.contains('•') || drawn.contains("tab"), "{drawn}");
            assert!(!drawn.contains("hunter2"), "{drawn}");
        }
    }

    #[test]
    fn a_mistake_at_the_very_end_or_in_an_empty_file_is_drawn() {
        for text in ["", "waybill: [", "waybill: 1\npipelines: { p: {", "\u{feff}", "é: 1"] {
            assert!(drawn(text).contains("shop.waybill.yaml"), "{text:?}");
        }
    }
}
