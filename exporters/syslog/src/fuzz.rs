//! What the fuzz targets call: any bytes come in, and neither a panic nor a lost byte comes out.
#![allow(
    clippy::missing_panics_doc,
    reason = "a panic is what a fuzzer looks for"
)]

use std::path::Path;
use std::sync::{Arc, OnceLock};

use inventory::Feed;
use loki::Render as _;
use spool::Record;
use toolkit::{Configuration as _, Live};

use crate::config::Config;
use crate::framing::Framing;
use crate::render::Lines;
use crate::translate::Translator;
use crate::{commands, header, text};

/// Built once: a fuzzer calls this many thousand times a second.
fn set_up() -> Option<&'static (Arc<Translator>, Live<Config>)> {
    static SET_UP: OnceLock<Option<(Arc<Translator>, Live<Config>)>> = OnceLock::new();
    SET_UP
        .get_or_init(|| {
            let config = Config::parse(Config::DEFAULT, Path::new("built-in default")).ok()?;
            Some((Arc::new(Translator::built_in().ok()?), Live::fixed(config)))
        })
        .as_ref()
}

/// One datagram through everything that reads the network.
pub fn datagram(bytes: &[u8]) {
    let Some((translator, config)) = set_up() else {
        return;
    };
    let text = text::decode(bytes);
    let _ = commands::explanation(translator, &text);
    let mut lines = Lines::new(
        translator.clone(),
        Feed::fixed(inventory::Inventory::default()),
        None,
        config.clone(),
    );
    let mut line = loki::Line::default();
    lines.render(
        Record {
            seq: 1,
            stamp: 1,
            class: 0,
            payload: bytes,
        },
        &mut line,
    );
    let _ = crate::proxy::parse(bytes);
}

/// A stream that arrives in two pieces: the frames are those of the stream that arrives whole.
pub fn framing(bytes: &[u8]) {
    let (first, stream) = bytes.split_first().unwrap_or((&0, &[]));
    let cut = usize::from(*first) * stream.len() / 255;
    let frames = |pieces: [&[u8]; 2]| {
        let mut framing = Framing::new(512);
        let mut all = Vec::new();
        for piece in pieces {
            framing.buffer().extend_from_slice(piece);
            while let Some(frame) = framing.next_frame() {
                all.push(format!("{frame:?}"));
            }
        }
        all
    };
    let (whole, split) = (
        frames([stream, &[]]),
        frames([&stream[..cut], &stream[cut..]]),
    );
    assert_eq!(whole, split);
}

/// What stands behind the version of RFC 5424.
pub fn rfc5424(bytes: &[u8]) {
    behind("<13>1 ", bytes);
    behind("<13>1 2026-11-14T08:30:56.123Z r1 app 1 ID [", bytes);
}

/// What stands behind the priority, and behind the time, of RFC 3164.
pub fn rfc3164(bytes: &[u8]) {
    behind("<189>", bytes);
    behind("<189>Nov 14 08:30:56 ", bytes);
}

/// The message of a rule, changed by what the bytes say.
pub fn rules(bytes: &[u8]) {
    let Some((translator, _)) = set_up() else {
        return;
    };
    let [high, low, at, drop, rest @ ..] = bytes else {
        return;
    };
    let all = translator.rules();
    let rule = all[usize::from(u16::from_be_bytes([*high, *low])) % all.len()];
    let mut message = rule.example.as_bytes().to_vec();
    let at = usize::from(*at) % (message.len() + 1);
    let end = (at + usize::from(*drop % 16)).min(message.len());
    message.splice(at..end, rest.iter().copied());
    let message = text::decode(&message);
    for form in [
        format!("<189>Nov 14 08:30:56 r1 {}: {message}", rule.key),
        format!("<189>1: r1: Nov 14 08:30:56: %{}: {message}", rule.key),
        format!(
            "<189>Nov 14 08:30:56 r1 {}: {message}",
            rule.key.trim_start_matches('@')
        ),
        format!("<189>{message}"),
    ] {
        check(&form);
    }
}

fn behind(head: &str, bytes: &[u8]) {
    check(&format!("{head}{}", text::decode(bytes)));
}

/// The message is the end of the line, and a sentence comes of whatever a rule knows.
fn check(line: &str) {
    let Some((translator, _)) = set_up() else {
        return;
    };
    let header = header::parse(line);
    assert!(line.ends_with(header.message), "{line:?}: {header:?}");
    if let Some(found) = translator.translate(&header) {
        let mut sentence = String::new();
        found.sentence(&mut sentence);
        assert!(!sentence.is_empty());
    }
}
