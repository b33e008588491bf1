//! The text forms of values.

use std::fmt::Write as _;

use super::hint;
use super::index::{self, Kind};
use crate::config::EnumValues;
use crate::oid::Dotted;
use crate::value::{Table, Value};

/// Octets as text: every run of octets that is no UTF-8 becomes one U+FFFD.
#[must_use]
pub fn valid_utf8(octets: &[u8]) -> String {
    let mut out = String::with_capacity(octets.len());
    let mut in_run = false;
    for chunk in octets.utf8_chunks() {
        in_run &= chunk.valid().is_empty();
        out.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            if !in_run {
                out.push('\u{fffd}');
            }
            in_run = true;
        }
    }
    out
}

/// A value as a label: numbers in decimal, octets as `kind` says.
#[must_use]
pub fn label(table: &Table, value: &Value, kind: &str, display_hint: &str) -> String {
    match *value {
        Value::Integer(number) => number.to_string(),
        Value::Unsigned(number) | Value::Counter64(number) => number.to_string(),
        Value::Float(number) => decimal(f64::from(number), number.to_string()),
        Value::Double(number) => decimal(number, number.to_string()),
        Value::Oid(span) => Dotted(table.sub_ids(span)).to_string(),
        Value::Ipv4(address) => address.to_string(),
        Value::Ipv6(span) => table.address(span).to_string(),
        Value::Null => String::new(),
        Value::Octets(span) => octets(table.octets(span), kind, display_hint),
    }
}

fn decimal(number: f64, text: String) -> String {
    if number == f64::INFINITY {
        "+Inf".to_owned()
    } else if number == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        text
    }
}

/// Octets as a label.
#[must_use]
pub fn octets(octets: &[u8], kind: &str, display_hint: &str) -> String {
    if !display_hint.is_empty()
        && matches!(kind, "" | "OctetString")
        && let Some(text) = hint::apply(display_hint, octets)
    {
        return valid_utf8(&text);
    }
    match kind {
        "" | "Bits" | "OctetString" => hex(octets),
        "DisplayString" => valid_utf8(octets),
        _ => {
            let Some(kind) = Kind::named(kind) else {
                return hex(octets);
            };
            let ids: Vec<u32> = octets.iter().map(|octet| u32::from(*octet)).collect();
            valid_utf8(&index::read(&ids, kind, 0, false, &EnumValues::new()).text)
        }
    }
}

/// `0x` and upper-case hexadecimal digits; nothing for no octets.
#[must_use]
pub fn hex(octets: &[u8]) -> String {
    let mut out = String::with_capacity(2 + octets.len() * 2);
    if !octets.is_empty() {
        out.push_str("0x");
    }
    for octet in octets {
        let _ = write!(out, "{octet:02X}");
    }
    out
}

/// A value as a number; what is no number is 0. Counter64 wraps at 2^53 when asked, where a double still counts by ones.
#[must_use]
pub fn number(value: &Value, wrap: bool) -> f64 {
    match *value {
        Value::Integer(number) => number as f64,
        Value::Unsigned(number) => number as f64,
        Value::Counter64(number) => (if wrap { number % (1 << 53) } else { number }) as f64,
        Value::Float(number) => f64::from(number),
        Value::Double(number) => number,
        Value::Octets(_) | Value::Oid(_) | Value::Ipv4(_) | Value::Ipv6(_) | Value::Null => 0.0,
    }
}

/// A value as a whole number for enumerations and chained lookups; what is no integer is 0.
#[must_use]
pub fn whole(value: &Value) -> i64 {
    match *value {
        Value::Integer(number) => number,
        Value::Unsigned(number) | Value::Counter64(number) => number.cast_signed(),
        _ => 0,
    }
}

/// A number as Go's `strconv.ParseFloat` reads it, from which users of snmp_exporter know the form: underscores between digits, and
/// none that is too large.
pub fn parsed(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| {
        at.and_then(|at| bytes.get(at))
            .is_some_and(u8::is_ascii_digit)
    };
    let between = |at: usize| digit(at.checked_sub(1)) && digit(Some(at + 1));
    if !(0..bytes.len())
        .filter(|at| bytes[*at] == b'_')
        .all(between)
    {
        return None;
    }
    let number: f64 = text.replace('_', "").parse().ok()?;
    let named = text
        .bytes()
        .any(|octet| octet.is_ascii_alphabetic() && !b"eE".contains(&octet));
    (named || number.is_finite()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_in_go() {
        assert_eq!(parsed("1_000"), Some(1000.0));
        assert_eq!(parsed("-1.5e3"), Some(-1500.0));
        assert_eq!(parsed("Inf"), Some(f64::INFINITY));
        for text in ["1e400", "-1e400", "_1", "1_", "1__0", "1_.5", "", "1 "] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn a_run_of_bad_octets_becomes_one_mark() {
        for (octets, text) in [
            (&b"abc"[..], "abc"),
            (b"a\xff\xfeb", "a\u{fffd}b"),
            (b"\xff\xff", "\u{fffd}"),
            (b"\xe2\x82x\xff", "\u{fffd}x\u{fffd}"),
            (b"\xc3\xa9\x80\xc3\xa9", "é\u{fffd}é"),
            (b"\xed\xa0\x80", "\u{fffd}"),
        ] {
            assert_eq!(valid_utf8(octets), text);
        }
    }

    #[test]
    fn octets_take_the_form_of_their_type() {
        for (bytes, kind, hint, text) in [
            (&[0xde_u8, 0xad][..], "OctetString", "", "0xDEAD"),
            (&[], "OctetString", "", ""),
            (&[0x80], "Bits", "", "0x80"),
            (&[1], "", "", "0x01"),
            (b"eth0", "DisplayString", "", "eth0"),
            (
                &[1, 2, 3, 4, 5, 0xab],
                "PhysAddress48",
                "",
                "01:02:03:04:05:AB",
            ),
            (&[1, 2], "PhysAddress48", "", "01:02:00:00:00:00"),
            (&[198, 18, 0, 1], "InetAddressIPv4", "", "198.18.0.1"),
            (
                &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
                "InetAddressIPv6",
                "",
                "2001:0DB8:0000:0000:0000:0000:0000:0001",
            ),
            (&[7, 8], "gauge", "", "7"),
            (&[], "gauge", "", "0"),
            (&[0xab], "Float", "", "0xAB"),
            (
                &[192, 168, 1, 1],
                "OctetString",
                "1d.1d.1d.1d",
                "192.168.1.1",
            ),
            (&[0x1a, 0x2b], "", "1x:", "1A:2B"),
            (&[0x1a, 0x2b], "DisplayString", "1x:", "\u{1a}+"),
            (&[1], "OctetString", "bad", "0x01"),
        ] {
            assert_eq!(octets(bytes, kind, hint), text, "{kind} {hint}");
        }
    }

    #[test]
    fn numbers_wrap_where_a_double_stops_counting() {
        assert_eq!(number(&Value::Counter64((1 << 53) + 5), true), 5.0);
        assert_eq!(
            number(&Value::Counter64((1 << 53) + 2), false),
            9_007_199_254_740_994.0
        );
        assert_eq!(number(&Value::Integer(-3), true), -3.0);
        assert_eq!(number(&Value::Null, true), 0.0);
        assert_eq!(label(&Table::default(), &Value::Float(0.1), "", ""), "0.1");
        assert_eq!(
            label(&Table::default(), &Value::Double(f64::INFINITY), "", ""),
            "+Inf"
        );
    }
}
