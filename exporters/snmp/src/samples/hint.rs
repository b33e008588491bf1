//! DISPLAY-HINT of octet strings (RFC 2579 §3.1).

/// One octet-format specification.
struct Spec {
    repeated: bool,
    take: usize,
    format: u8,
    separator: Option<u8>,
    terminator: Option<u8>,
}

/// `octets` written as `hint` says. `None` when the hint is malformed, or when either is empty.
///
/// The last specification repeats until the octets end; a separator never ends the text.
#[must_use]
pub fn apply(hint: &str, octets: &[u8]) -> Option<Vec<u8>> {
    if hint.is_empty() || octets.is_empty() {
        return None;
    }
    let mut out = Vec::with_capacity(octets.len() * 4);
    let (mut specs, mut rest) = (hint.as_bytes(), octets);
    let mut last: Option<Spec> = None;
    while !rest.is_empty() {
        let spec = if specs.is_empty() {
            last.take().filter(|spec| spec.take > 0 || spec.repeated)?
        } else {
            let (spec, after) = read(specs)?;
            specs = after;
            spec
        };
        rest = write(&spec, rest, &mut out)?;
        last = Some(spec);
    }
    Some(out)
}

fn read(hint: &[u8]) -> Option<(Spec, &[u8])> {
    let (repeated, hint) = hint
        .strip_prefix(b"*")
        .map_or((false, hint), |rest| (true, rest));
    let digits = hint.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let take = std::str::from_utf8(&hint[..digits]).ok()?.parse().ok()?;
    let (format, mut rest) = hint[digits..].split_first()?;
    if !b"dxoat".contains(format) {
        return None;
    }
    let mut mark = || {
        let (first, after) = rest.split_first()?;
        if first.is_ascii_digit() || *first == b'*' {
            return None;
        }
        rest = after;
        Some(*first)
    };
    let separator = mark();
    let terminator = if repeated { mark() } else { None };
    Some((
        Spec {
            repeated,
            take,
            format: *format,
            separator,
            terminator,
        },
        rest,
    ))
}

fn write<'a>(spec: &Spec, octets: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let mut rest = octets;
    let mut count = 1;
    if spec.repeated {
        let (first, after) = rest.split_first()?;
        count = usize::from(*first);
        rest = after;
    }
    for round in 0..count {
        if rest.is_empty() {
            break;
        }
        let (chunk, after) = rest.split_at(spec.take.min(rest.len()));
        rest = after;
        match spec.format {
            b'd' | b'o' => {
                if chunk.len() > 8 {
                    return None;
                }
                let number = chunk
                    .iter()
                    .fold(0u64, |number, octet| (number << 8) | u64::from(*octet));
                let text = if spec.format == b'd' {
                    number.to_string()
                } else {
                    format!("{number:o}")
                };
                out.extend(text.into_bytes());
            }
            b'x' => out.extend(
                chunk
                    .iter()
                    .flat_map(|octet| format!("{octet:02X}").into_bytes()),
            ),
            _ => out.extend(chunk),
        }
        let last_of_group = spec.terminator.is_some() && round + 1 == count;
        if let Some(separator) = spec
            .separator
            .filter(|_| !rest.is_empty() && !last_of_group)
        {
            out.push(separator);
        }
    }
    if let Some(terminator) = spec.terminator.filter(|_| !rest.is_empty()) {
        out.push(terminator);
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hints_of_the_standards() {
        for (hint, octets, text) in [
            ("1d.1d.1d.1d", &[192u8, 168, 1, 1][..], Some("192.168.1.1")),
            ("1x:", &[0, 26, 43, 60, 77, 94], Some("00:1A:2B:3C:4D:5E")),
            ("255a", b"Hello", Some("Hello")),
            (
                "2d-1d-1d,1d:1d:1d.1d",
                &[7, 0xe8, 6, 15, 10, 30, 5, 1],
                Some("2024-6-15,10:30:5.1"),
            ),
            (
                "2d-1d-1d,1d:1d:1d.1d,1a1d:1d",
                &[7, 0xe8, 6, 15, 10, 30, 5, 1, b'+', 2, 0],
                Some("2024-6-15,10:30:5.1,+2:0"),
            ),
            (
                "*1x:/1x:",
                &[2, 0xaa, 0xbb, 0xcc, 0xdd],
                Some("AA:BB/CC:DD"),
            ),
            ("1o", &[8], Some("10")),
            ("9d", &[1, 2, 3, 4, 5, 6, 7, 8, 9], None),
            ("0a", b"x", None),
            ("1z", b"x", None),
            ("a", b"x", None),
            ("", b"x", None),
            ("1d", b"", None),
            ("99999999999999999999d", b"x", None),
        ] {
            assert_eq!(
                apply(hint, octets)
                    .map(|text| String::from_utf8(text).unwrap())
                    .as_deref(),
                text,
                "{hint}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_hint_ends(hint in "[*0-9dxoat.:/-]{0,12}", octets in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = apply(&hint, &octets);
        }
    }
}
