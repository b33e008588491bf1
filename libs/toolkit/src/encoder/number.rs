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
        if let Ok(digit @ 0..=9) = u8::try_from(self) {
            out.push(b'0' + digit);
            return;
        }
        let mut digits = [0_u8; 20];
        let (mut rest, mut start) = (self, digits.len());
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
            start -= 1;
            if rest == 0 {
                break;
            }
        }
        out.extend_from_slice(digits.get(start..).unwrap_or_default());
    }
}

impl Number for i64 {
    fn as_f64(self) -> f64 {
        self as f64
    }

    fn write(self, out: &mut Vec<u8>) {
        if self < 0 {
            out.push(b'-');
        }
        self.unsigned_abs().write(out);
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
    use super::canonical;

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
