//! Expositions: the text format of Prometheus, version 0.0.4, with the spellings of Go's client, and protobuf.

use std::fmt::Write as _;

use toolkit::{Encoder, Format, Kind, Labels};

use crate::budget::Claim;

/// An exposition being written.
#[derive(Debug)]
pub struct Page {
    out: Out,
    /// Octets written, about.
    written: usize,
    claim: Option<Claim>,
    /// There was no room for all.
    full: bool,
}

#[derive(Debug)]
enum Out {
    Text(String),
    Protobuf(Box<Encoder>),
}

impl Default for Page {
    fn default() -> Self {
        Self::text(0)
    }
}

impl Page {
    /// As text, with room for so many octets.
    #[must_use]
    pub fn text(octets: usize) -> Self {
        let out = Out::Text(String::with_capacity(octets));
        Self::of(out)
    }

    fn of(out: Out) -> Self {
        Self {
            out,
            written: 0,
            claim: None,
            full: false,
        }
    }

    /// The same, written no further than there is room for.
    #[must_use]
    pub fn within(self, claim: Claim) -> Self {
        Self {
            claim: Some(claim),
            ..self
        }
    }

    /// Whether something was left out for lack of room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// As protobuf, which tells since when counters count.
    #[must_use]
    pub fn protobuf() -> Self {
        let out = Out::Protobuf(Box::new(Encoder::new(Format::Protobuf)));
        Self::of(out)
    }

    /// Begins a family; `kind` is `counter` or `gauge`.
    pub fn head(&mut self, name: &str, help: &str, kind: &str) {
        match &mut self.out {
            Out::Text(text) => head(name, help, kind, text),
            Out::Protobuf(encoder) => {
                let kind = if kind == "counter" {
                    Kind::Counter
                } else {
                    Kind::Gauge
                };
                encoder.family(name, kind, help);
            }
        }
    }

    /// Writes one sample of the family begun last; `labels` are rendered already.
    pub fn sample(&mut self, name: &str, labels: &str, value: f64) {
        self.counted(name, labels, value, None);
    }

    /// Writes one sample of a counter that counts since `since`, Unix seconds.
    pub fn counted(&mut self, name: &str, labels: &str, value: f64, since: Option<f64>) {
        self.written += name.len() + labels.len() + 24;
        let room = |claim: &mut Claim| claim.grow(self.written);
        self.full |= !self.claim.as_mut().is_none_or(room);
        if self.full {
            return;
        }
        match &mut self.out {
            Out::Text(text) => sample(name, labels, value, text),
            Out::Protobuf(encoder) => encoder.sample_since(&Labels::rendered(labels), value, since),
        }
    }

    /// What was written.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.finish_held().0
    }

    /// What was written, and the memory that it takes.
    #[must_use]
    pub fn finish_held(self) -> (Vec<u8>, Option<Claim>) {
        let octets = match self.out {
            Out::Text(text) => text.into_bytes(),
            Out::Protobuf(encoder) => encoder.finish(),
        };
        (octets, self.claim)
    }
}

/// Writes `# HELP` and `# TYPE`.
fn head(name: &str, help: &str, kind: &str, out: &mut String) {
    out.push_str("# HELP ");
    out.push_str(name);
    out.push(' ');
    escape(help, false, out);
    out.push_str("\n# TYPE ");
    out.push_str(name);
    out.push(' ');
    out.push_str(kind);
    out.push('\n');
}

/// Writes `name="value"`.
pub fn label(name: &str, value: &str, out: &mut String) {
    out.push_str(name);
    out.push_str("=\"");
    escape(value, true, out);
    out.push('"');
}

fn sample(name: &str, labels: &str, value: f64, out: &mut String) {
    out.push_str(name);
    if !labels.is_empty() {
        out.push('{');
        out.push_str(labels);
        out.push('}');
    }
    out.push(' ');
    number(value, out);
    out.push('\n');
}

fn escape(text: &str, quotes: bool, out: &mut String) {
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escaped = match byte {
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'"' if quotes => "\\\"",
            _ => continue,
        };
        out.push_str(&text[from..at]);
        out.push_str(escaped);
        from = at + 1;
    }
    out.push_str(&text[from..]);
}

/// Writes a number as Go does with the verb `g` and the shortest precision: `1`, `0.5`, `1e+06`, `+Inf`.
pub fn number(value: f64, out: &mut String) {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else if value.abs() < 1e6
        && value == value.trunc()
        && !(value == 0.0 && value.is_sign_negative())
    {
        small(value as i64, out);
    } else if value.abs() < 9_007_199_254_740_992.0 && value == value.trunc() && value != 0.0 {
        large(value as i64, out);
    } else {
        shortest(value, out);
    }
}

fn small(number: i64, out: &mut String) {
    if number < 0 {
        out.push('-');
    }
    let mut digits = [0u8; 8];
    let (mut at, mut left) = (digits.len(), number.unsigned_abs());
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 || at == 0 {
            break;
        }
    }
    out.extend(digits[at..].iter().map(|digit| char::from(*digit)));
}

/// A whole number of seven digits or more: its digits are those of the shortest form.
fn large(number: i64, out: &mut String) {
    if number < 0 {
        out.push('-');
    }
    let mut digits = [0u8; 20];
    let (mut at, mut left) = (digits.len(), number.unsigned_abs());
    while left > 0 && at > 0 {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
    }
    let exponent = digits.len() - at - 1;
    let end = digits
        .iter()
        .rposition(|digit| *digit != b'0')
        .unwrap_or(at)
        + 1;
    out.push(char::from(digits[at]));
    if end > at + 1 {
        out.push('.');
        out.extend(digits[at + 1..end].iter().map(|digit| char::from(*digit)));
    }
    out.push_str("e+");
    out.push(char::from(b'0' + (exponent / 10) as u8));
    out.push(char::from(b'0' + (exponent % 10) as u8));
}

fn shortest(value: f64, out: &mut String) {
    let mut scientific = String::with_capacity(24);
    let _ = write!(scientific, "{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "{mantissa}e{sign}{:02}", exponent.abs());
    } else {
        let _ = write!(out, "{value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spelled_as_in_go() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-12.0, "-12"),
            (999_999.0, "999999"),
            (1_000_000.0, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (123_456.5, "123456.5"),
            (4_294_967_295.0, "4.294967295e+09"),
            (9_007_199_254_740_991.0, "9.007199254740991e+15"),
            (9_007_199_254_740_994.0, "9.007199254740994e+15"),
            (-25_000_000.0, "-2.5e+07"),
            (1_000_001.5, "1.0000015e+06"),
            (0.5, "0.5"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e100, "1e+100"),
            (-1.5e-7, "-1.5e-07"),
            (1e21, "1e+21"),
            (0.1 + 0.2, "0.30000000000000004"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            let mut out = String::new();
            number(value, &mut out);
            assert_eq!(out, text);
        }
    }

    #[test]
    fn text_is_escaped_where_the_format_says() {
        let mut out = String::new();
        head("a", "say \"x\"\\\nb", "gauge", &mut out);
        label("l", "\"x\"\\\n", &mut out);
        assert_eq!(
            out,
            "# HELP a say \"x\"\\\\\\nb\n# TYPE a gauge\nl=\"\\\"x\\\"\\\\\\n\""
        );
    }
}
