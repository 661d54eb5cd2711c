//! Writes a log event as one line of JSON. A line a request is a good part of what a request costs, so it is put together in one piece of
//! memory; tracing-subscriber's own format goes through a serializer and a check of the text for every part of every field.

use std::{error::Error, fmt, fmt::Write};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

/// Room for most lines.
const LINE: usize = 768;

/// `{"timestamp":…,"level":…,` the fields in their order, `"target":…}`. No spans: the sidecar opens none.
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::with_capacity(LINE);
        line.push_str("{\"timestamp\":\"");
        SystemTime.format_time(&mut Writer::new(&mut line))?;
        line.push_str("\",\"level\":\"");
        line.push_str(event.metadata().level().as_str());
        line.push('"');
        event.record(&mut Fields(&mut line));
        line.push_str(",\"target\":");
        push_string(&mut line, event.metadata().target());
        line.push_str("}\n");
        writer.write_str(&line)
    }
}

/// Appends the fields of an event.
struct Fields<'a>(&'a mut String);

impl Fields<'_> {
    fn name(&mut self, field: &Field) {
        self.0.push(',');
        push_string(self.0, field.name());
        self.0.push(':');
    }

    fn plain(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        self.name(field);
        self.0.write_fmt(value).expect("a string takes everything");
    }

    fn text(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        self.name(field);
        self.0.push('"');
        Escaped(self.0)
            .write_fmt(value)
            .expect("a string takes everything");
        self.0.push('"');
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        push_string(self.0, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.plain(field, format_args!("{value:?}"));
        } else {
            self.plain(field, format_args!("null"));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.text(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format_args!("{value:?}"));
    }
}

/// Escapes what is written to it for a JSON string.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        push_escaped(self.0, text);
        Ok(())
    }
}

fn push_string(line: &mut String, text: &str) {
    line.push('"');
    push_escaped(line, text);
    line.push('"');
}

/// RFC 8259 section 7: quotation mark, reverse solidus and the control characters.
fn push_escaped(line: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest
        .bytes()
        .position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\')
    {
        // Such a byte is a character of its own, never a part of one.
        line.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => line.push_str("\\\""),
            b'\\' => line.push_str("\\\\"),
            b'\n' => line.push_str("\\n"),
            b'\r' => line.push_str("\\r"),
            b'\t' => line.push_str("\\t"),
            byte => write!(line, "\\u{byte:04x}").expect("a string takes everything"),
        }
        rest = &rest[at + 1..];
    }
    line.push_str(rest);
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use serde_json::{Value, json};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(log: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let layer = tracing_subscriber::fmt::layer()
            .event_format(JsonLines)
            .with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, log);
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn every_kind_of_field_is_read_back_as_it_was() {
        let error = io::Error::other("a \"quoted\" cause");
        let line = logged(|| {
            tracing::warn!(
                target: "postern::test",
                text = "ä \u{1} \u{7f} \\ \" \n \r \t /",
                number = 18_446_744_073_709_551_615_u64,
                negative = -3_i64,
                fraction = 0.25,
                whole = 1.0,
                no_number = f64::NAN,
                truth = true,
                shown = %"a\nb",
                seen = ?Some("c"),
                missing = None::<&str>,
                cause = &error as &dyn Error,
                "said {}", 1
            );
        });
        let mut read: Value = serde_json::from_str(&line).unwrap();
        let timestamp = read.as_object_mut().unwrap().remove("timestamp").unwrap();
        assert!(timestamp.as_str().unwrap().ends_with('Z'));
        assert_eq!(
            read,
            json!({
                "level": "WARN",
                "message": "said 1",
                "text": "ä \u{1} \u{7f} \\ \" \n \r \t /",
                "number": 18_446_744_073_709_551_615_u64,
                "negative": -3,
                "fraction": 0.25,
                "whole": 1.0,
                "no_number": null,
                "truth": true,
                "shown": "a\nb",
                "seen": "Some(\"c\")",
                "cause": "a \"quoted\" cause",
                "target": "postern::test",
            })
        );
    }

    #[test]
    fn an_event_is_one_line_whatever_it_says() {
        let line = logged(|| tracing::info!(path = "/a\nb\r\n{\"level\":\"ERROR\"}", "x\ny"));
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        assert!(line.ends_with("}\n"));
    }
}
