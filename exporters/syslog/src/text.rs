//! What was received as text: nothing is lost, whatever the bytes are.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text of a message. UTF-16 is decoded, bytes that are no UTF-8 are shown as `\xNN`, and the line end or
/// NUL that a sender adds behind the message is cut.
#[must_use]
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = trimmed(bytes);
    if let Some(text) = utf16(bytes) {
        return Cow::Owned(text);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            let mut text = String::with_capacity(bytes.len() + 16);
            for chunk in bytes.utf8_chunks() {
                text.push_str(chunk.valid());
                for byte in chunk.invalid() {
                    // Writing into a string cannot fail.
                    let _ = write!(text, "\\x{byte:02x}");
                }
            }
            Cow::Owned(text)
        }
    }
}

/// Without the line ends and NULs behind it.
#[must_use]
pub fn trimmed(bytes: &[u8]) -> &[u8] {
    let end = bytes
        .iter()
        .rposition(|b| !matches!(b, 0 | b'\n' | b'\r'))
        .map_or(0, |at| at + 1);
    &bytes[..end]
}

/// UTF-16 with a byte order mark at the beginning, or behind the priority.
fn utf16(bytes: &[u8]) -> Option<String> {
    let behind = if bytes.first() == Some(&b'<') {
        bytes
            .iter()
            .take(6)
            .position(|b| *b == b'>')
            .map_or(0, |at| at + 1)
    } else {
        0
    };
    let (head, rest) = bytes.split_at(behind);
    let unit: fn([u8; 2]) -> u16 = match rest.get(..2)? {
        [0xff, 0xfe] => u16::from_le_bytes,
        [0xfe, 0xff] => u16::from_be_bytes,
        _ => return None,
    };
    let units = rest[2..]
        .chunks(2)
        .map(|pair| unit([pair[0], pair.get(1).copied().unwrap_or(0)]));
    let mut text = String::from_utf8_lossy(head).into_owned();
    text.extend(
        char::decode_utf16(units)
            .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
            .filter(|c| *c != '\0'),
    );
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_bytes_are_they_become_text() {
        assert_eq!(decode(b"plain\r\n\0"), "plain");
        assert_eq!(decode(b"caf\xe9 \xffx"), "caf\\xe9 \\xffx");
        assert_eq!(decode(b"\xff\xfeh\0i\0"), "hi");
        assert_eq!(decode(b"<13>\xfe\xff\0h\0i"), "<13>hi");
        assert_eq!(decode(b"\0\0"), "");
    }
}
