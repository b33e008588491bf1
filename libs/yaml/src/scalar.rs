//! Numbers and words as they are spelled.

use std::str::FromStr;

use crate::Rules;

/// A number type that a document may hold.
pub(crate) trait Number: FromStr {
    /// From digits of another base; `None` for types that have none.
    fn radix(digits: &str, radix: u32) -> Option<Self>;
}

macro_rules! whole {
    ($($type:ty)*) => {$(
        impl Number for $type {
            fn radix(digits: &str, radix: u32) -> Option<Self> {
                Self::from_str_radix(digits, radix).ok()
            }
        }
    )*};
}

whole!(u8 u16 u32 u64 u128 i8 i16 i32 i64 i128);

impl Number for f64 {
    fn radix(_: &str, _: u32) -> Option<Self> {
        None
    }
}

/// The number that `text` spells.
pub(crate) fn number<N: Number>(text: &str, rules: &Rules) -> Option<N> {
    if !rules.lenient {
        return text.parse().ok();
    }
    let clean: String = text.chars().filter(|c| *c != '_').collect();
    let sign = if clean.starts_with('-') { "-" } else { "" };
    let digits = clean.trim_start_matches(['+', '-']);
    let based = |prefixes: [&str; 2], radix| {
        prefixes
            .iter()
            .find_map(|prefix| digits.strip_prefix(prefix))
            .and_then(|digits| N::radix(&format!("{sign}{digits}"), radix))
    };
    if let Some(number) = based(["0x", "0X"], 16)
        .or_else(|| based(["0o", "0O"], 8))
        .or_else(|| based(["0b", "0B"], 2))
    {
        return Some(number);
    }
    let octal = rules.octal && digits.len() > 1 && digits.bytes().all(|b| b.is_ascii_digit());
    if octal && digits.starts_with('0') {
        return N::radix(&format!("{sign}{digits}"), 8);
    }
    match digits.to_ascii_lowercase().as_str() {
        ".inf" => format!("{sign}inf").parse().ok(),
        ".nan" => "nan".parse().ok(),
        // What Rust reads beside digits is no number in YAML.
        "inf" | "infinity" | "nan" => None,
        _ => clean.parse().ok(),
    }
}

/// The boolean that a word is in YAML 1.1.
pub(crate) fn boolean(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" => Some(true),
        "false" | "no" | "off" | "n" => Some(false),
        _ => None,
    }
}
