//! One event, one line.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use super::LogFormat;
use super::fields::{Visitor, pair};

/// Writes time, level, message, fields of the event, fields of its spans, and `trace_id` while a traced span is active.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lines(pub(crate) LogFormat);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut visitor = Visitor {
            format: self.0,
            message: String::new(),
            rest: String::new(),
        };
        event.record(&mut visitor);
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let level = event.metadata().level().as_str();
        let mut line = String::with_capacity(128);
        match self.0 {
            LogFormat::Logfmt => {
                line.push_str("time=");
                line.push_str(&time);
                pair(&mut line, self.0, "level", level, true);
                pair(&mut line, self.0, "msg", &visitor.message, true);
            }
            LogFormat::Json => {
                line.push_str("{\"time\":\"");
                line.push_str(&time);
                line.push('"');
                pair(&mut line, self.0, "level", level, true);
                pair(&mut line, self.0, "msg", &visitor.message, true);
            }
        }
        line.push_str(&visitor.rest);
        for span in context.event_scope().into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                line.push_str(&fields.fields);
            }
        }
        if let Some(trace) = crate::trace::current_id() {
            pair(&mut line, self.0, "trace_id", &trace, true);
        }
        if self.0 == LogFormat::Json {
            line.push('}');
        }
        writeln!(writer, "{line}")
    }
}
