//! Sample values as text.

/// A value of a sample.
pub trait Number: Copy {
    /// Appends the value.
    fn write(self, out: &mut Vec<u8>);
    /// The value as a float, which is what every sample is in the end.
    fn as_f64(self) -> f64;
}

impl Number for u64 {
    fn as_f64(self) -> f64 {
        self as f64
    }

    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(itoa::Buffer::new().format(self).as_bytes());
    }
}

impl Number for i64 {
    fn as_f64(self) -> f64 {
        self as f64
    }

    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(itoa::Buffer::new().format(self).as_bytes());
    }
}

impl Number for f64 {
    fn as_f64(self) -> f64 {
        self
    }

    fn write(self, out: &mut Vec<u8>) {
        #[expect(clippy::cast_possible_truncation, reason = "in range by the condition")]
        if self.fract() == 0.0 && self.abs() < 1e15 && !(self == 0.0 && self.is_sign_negative()) {
            (self as i64).write(out);
        } else {
            out.extend_from_slice(canonical(self).as_bytes());
        }
    }
}

/// A number with a fixed count of decimal places: `Decimal::<9>(1_500_000)` nanoseconds are written as `0.0015` seconds. It is exact, and
/// written several times as fast as a float.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal<const PLACES: u32>(pub u64);

impl<const PLACES: u32> Number for Decimal<PLACES> {
    fn as_f64(self) -> f64 {
        self.0 as f64 / const { 10_u64.pow(PLACES) } as f64
    }

    fn write(self, out: &mut Vec<u8>) {
        let one = const { 10_u64.pow(PLACES) };
        (self.0 / one).write(out);
        let fraction = self.0 % one;
        if fraction == 0 {
            return;
        }
        // A leading one keeps the zeros behind the point; it is overwritten by the point.
        let point = out.len();
        (one + fraction).write(out);
        if let Some(byte) = out.get_mut(point) {
            *byte = b'.';
        }
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

macro_rules! widen {
    ($($narrow:ty => $wide:ty),*) => {$(
        impl Number for $narrow {
            fn as_f64(self) -> f64 {
                <$wide>::from(self).as_f64()
            }

            fn write(self, out: &mut Vec<u8>) {
                <$wide>::from(self).write(out);
            }
        }
    )*};
}
widen!(u8 => u64, u16 => u64, u32 => u64, i32 => i64, bool => u64);

impl Number for usize {
    fn as_f64(self) -> f64 {
        self as f64
    }

    fn write(self, out: &mut Vec<u8>) {
        (self as u64).write(out);
    }
}

/// As Prometheus' text format writes bounds: whole numbers without a fraction.
pub(super) fn text(value: f64) -> String {
    let mut out = Vec::new();
    value.write(&mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// As OpenMetrics asks for bounds: always a fraction or an exponent.
pub(super) fn canonical(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        two_digit_exponent(format!("{value:?}"))
    }
}

/// Exponents as C and Go print them, `5e-05`: queries and recorded series know buckets by that text.
fn two_digit_exponent(text: String) -> String {
    let Some((digits, exponent)) = text.split_once('e') else {
        return text;
    };
    let (sign, power) = exponent
        .strip_prefix('-')
        .map_or(('+', exponent), |power| ('-', power));
    format!("{digits}e{sign}{power:0>2}")
}

#[cfg(test)]
mod tests {
    use super::{Decimal, Number, canonical};

    #[test]
    fn decimals_are_exact_and_short() {
        for (nanos, text) in [
            (0, "0"),
            (1, "0.000000001"),
            (50_000, "0.00005"),
            (1_500_000_000, "1.5"),
            (20_000_000_000, "20"),
            (u64::MAX, "18446744073.709551615"),
        ] {
            let mut out = Vec::new();
            Decimal::<9>(nanos).write(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
            let read: f64 = text.parse().unwrap();
            assert!((Decimal::<9>(nanos).as_f64() - read).abs() <= read * 1e-15);
        }
        let mut out = Vec::new();
        Decimal::<2>(407).write(&mut out);
        assert_eq!(out, b"4.07");
    }

    #[test]
    fn exponents_have_a_sign_and_two_digits() {
        for (value, text) in [
            (0.00005, "5e-05"),
            (0.0001, "0.0001"),
            (2.5e-7, "2.5e-07"),
            (1e-300, "1e-300"),
            (1e16, "1e+16"),
            (1.0, "1.0"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(canonical(value), text);
        }
    }
}
