//! Expositions: those of the toolkit within a bound of memory, with numbers as Go's client spells them in text.

use toolkit::{Encoder, Format, Kind, Number};

use crate::budget::Claim;

/// A number as Go spells it.
#[derive(Debug, Clone, Copy)]
struct Go(f64);

impl Number for Go {
    fn write(self, out: &mut Vec<u8>) {
        number(self.0, out);
    }

    fn as_f64(self) -> f64 {
        self.0
    }
}

/// An exposition being written.
#[derive(Debug)]
pub struct Page {
    out: Encoder,
    /// Octets written, about.
    written: usize,
    claim: Option<Claim>,
    /// There was no room for all.
    full: bool,
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
        Self::of(Encoder::with_capacity(Format::Text, octets))
    }

    fn of(out: Encoder) -> Self {
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
        Self::of(Encoder::new(Format::Protobuf))
    }

    /// Begins a family; `kind` is `counter` or `gauge`.
    pub fn head(&mut self, name: &str, help: &str, kind: &str) {
        let kind = if kind == "counter" {
            Kind::Counter
        } else {
            Kind::Gauge
        };
        self.out.family(name, kind, help);
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
        self.out.sample_rendered(labels, Go(value), since);
    }

    /// What was written.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.finish_held().0
    }

    /// What was written, and the memory that it takes.
    #[must_use]
    pub fn finish_held(self) -> (Vec<u8>, Option<Claim>) {
        (self.out.finish(), self.claim)
    }
}

/// Writes `name="value"`.
pub fn label(name: &str, value: &str, out: &mut String) {
    out.push_str(name);
    out.push_str("=\"");
    toolkit::escape_label(value, out);
    out.push('"');
}

/// Writes a number as Go does with the verb `g` and the shortest precision: `1`, `0.5`, `1e+06`, `+Inf`.
fn number(value: f64, out: &mut Vec<u8>) {
    if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
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

fn small(number: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// A whole number of seven digits or more: its digits are those of the shortest form.
fn large(number: i64, out: &mut Vec<u8>) {
    if number < 0 {
        out.push(b'-');
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
    out.push(digits[at]);
    if end > at + 1 {
        out.push(b'.');
        out.extend_from_slice(&digits[at + 1..end]);
    }
    out.extend_from_slice(b"e+");
    out.push(b'0' + (exponent / 10) as u8);
    out.push(b'0' + (exponent % 10) as u8);
}

fn shortest(value: f64, out: &mut Vec<u8>) {
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        let text = format!("{mantissa}e{sign}{:02}", exponent.abs());
        out.extend_from_slice(text.as_bytes());
    } else {
        out.extend_from_slice(value.to_string().as_bytes());
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
            let mut out = Vec::new();
            number(value, &mut out);
            assert_eq!(std::str::from_utf8(&out).unwrap(), text);
        }
    }

    #[test]
    fn text_is_escaped_where_the_format_says() {
        let mut labels = String::new();
        label("l", "\"x\"\\\n", &mut labels);
        let mut out = Page::default();
        out.head("a", "say \"x\"\\\nb", "gauge");
        out.sample("a", &labels, 1e6);
        assert_eq!(
            String::from_utf8(out.finish()).unwrap(),
            "# HELP a say \"x\"\\\\\\nb\n# TYPE a gauge\na{l=\"\\\"x\\\"\\\\\\n\"} 1e+06\n"
        );
    }
}
