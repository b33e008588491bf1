//! Fields of spans and events, rendered into the form of the line.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

use super::LogFormat;

/// Renders the fields of a span once, when they are recorded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rendered(pub(crate) LogFormat);

impl<'writer> FormatFields<'writer> for Rendered {
    fn format_fields<R: RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        let mut visitor = Visitor {
            format: self.0,
            message: String::new(),
            rest: String::new(),
        };
        fields.record(&mut visitor);
        writer.write_str(&visitor.rest)
    }

    fn add_fields(
        &self,
        current: &'writer mut tracing_subscriber::fmt::FormattedFields<Self>,
        fields: &tracing::span::Record<'_>,
    ) -> fmt::Result {
        let mut visitor = Visitor {
            format: self.0,
            message: String::new(),
            rest: String::new(),
        };
        fields.record(&mut visitor);
        current.fields.push_str(&visitor.rest);
        Ok(())
    }
}

/// Collects the message apart and the other fields as ` key=value` or `,"key":value`.
pub(crate) struct Visitor {
    pub(crate) format: LogFormat,
    pub(crate) message: String,
    pub(crate) rest: String,
}

impl Visitor {
    fn put(&mut self, field: &Field, value: &str, quoted: bool) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            // For the trace alone.
            name if name.starts_with("otel.") || name.starts_with("log.") => {}
            name => pair(&mut self.rest, self.format, name, value, quoted),
        }
    }
}

impl Visit for Visitor {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, &value.to_string(), !value.is_finite());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, &value.to_string(), false);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, &value.to_string(), false);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, &value.to_string(), false);
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value, true);
    }
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        self.put(field, &text, true);
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, &format!("{value:?}"), true);
    }
}

/// Appends one pair. `text` says that the value is a string, not a number or a boolean.
pub(crate) fn pair(out: &mut String, format: LogFormat, key: &str, value: &str, text: bool) {
    match format {
        LogFormat::Logfmt => {
            out.push(' ');
            out.push_str(key);
            out.push('=');
            logfmt(out, value);
        }
        LogFormat::Json => {
            out.push(',');
            out.push_str(&serde_json::Value::from(key).to_string());
            out.push(':');
            if text {
                out.push_str(&serde_json::Value::from(value).to_string());
            } else {
                out.push_str(value);
            }
        }
    }
}

/// A logfmt value: quoted when it is empty or holds a space, an equals sign, a quote or a control character.
fn logfmt(out: &mut String, value: &str) {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '=' | '\\');
    if !value.is_empty() && value.chars().all(plain) {
        out.push_str(value);
        return;
    }
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
