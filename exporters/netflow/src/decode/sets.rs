//! NetFlow v9 (RFC 3954) and IPFIX (RFC 7011): a header, then sets of templates, options templates and records.

use std::sync::Arc;
use std::time::Instant;

use super::{Head, Malformed, Told};
use crate::flow::{Flow, Origin, Rate};
use crate::session::Session;
use crate::template::read::Reader;
use crate::template::{Field, Record, Template, VARIABLE};

/// Bit of a field specifier that an enterprise number follows.
const ENTERPRISE: u16 = 0x8000;

/// The header of NetFlow v9: 20 bytes; its count counts records and is not used, sets are framed by their own lengths.
pub(super) fn v9_head(datagram: &[u8]) -> Option<Head> {
    let mut reader = Reader(datagram);
    reader.take(4)?;
    let (uptime, seconds) = (reader.u32()?, reader.u32()?);
    let (sequence, domain) = (reader.u32()?, reader.u32()?);
    Some(Head {
        version: 9,
        domain,
        sequence,
        export_seconds: Some(seconds),
        uptime_ms: Some(uptime),
        units: Some(1),
    })
}

/// The header of IPFIX: 16 bytes; the length it states must be that of the datagram.
pub(super) fn ipfix_head(datagram: &[u8]) -> Result<Head, Malformed> {
    let mut reader = Reader(datagram);
    let read = |reader: &mut Reader<'_>| {
        reader.u16()?;
        Some((reader.u16()?, reader.u32()?, reader.u32()?, reader.u32()?))
    };
    let (length, seconds, sequence, domain) = read(&mut reader).ok_or(Malformed::Header)?;
    if usize::from(length) < 16 || usize::from(length) > datagram.len() {
        return Err(Malformed::Length);
    }
    Ok(Head {
        version: 10,
        domain,
        sequence,
        export_seconds: Some(seconds),
        uptime_ms: None,
        units: None,
    })
}

/// Reads the sets behind the header into `session`; `each` gets every flow. What came before a malformed set is kept.
pub(super) fn read(
    datagram: &[u8],
    head: &mut Head,
    session: &mut Session,
    now: Instant,
    each: &mut dyn FnMut(Flow),
) -> (Told, Option<Malformed>) {
    let ipfix = head.version == 10;
    let body = if ipfix {
        let length = usize::from(u16::from_be_bytes([datagram[2], datagram[3]]));
        &datagram[16..length]
    } else {
        &datagram[20..]
    };
    let (mut reader, mut told, mut records) = (Reader(body), Told::default(), Some(0_u32));
    // Less than a set's header is padding.
    while reader.left() >= 4 {
        let (Some(id), Some(length)) = (reader.u16(), reader.u16()) else {
            break;
        };
        let content = usize::from(length)
            .checked_sub(4)
            .and_then(|left| reader.take(left));
        let Some(content) = content else {
            head.units = if ipfix { None } else { head.units };
            return (told, Some(Malformed::Set));
        };
        match (ipfix, id) {
            (false, 0) | (true, 2) => templates(content, ipfix, session, now, &mut told, each),
            (false, 1) => v9_options_templates(content, session, now, &mut told, each),
            (true, 3) => ipfix_options_templates(content, session, now, &mut told, each),
            (_, 256..) => match session.template(id) {
                Some(template) => {
                    let count = data(&template, content, session, &mut told, each);
                    records = records.map(|records| records.saturating_add(count));
                }
                None => {
                    records = None;
                    session.keep(id, content, now);
                }
            },
            _ => told.reserved_sets += 1,
        }
    }
    if ipfix {
        head.units = records;
    }
    (told, None)
}

fn data(
    template: &Template,
    content: &[u8],
    session: &mut Session,
    told: &mut Told,
    each: &mut dyn FnMut(Flow),
) -> u32 {
    let options = template.options;
    let (count, whole) = template.records(content, |record| {
        if options {
            session.learn(record.sampler, record.input, record.rate());
        } else {
            told.flows += emit(record, session, each);
        }
    });
    told.cut_records += u32::from(!whole);
    count
}

fn emit(record: &Record, session: &Session, each: &mut dyn FnMut(Flow)) -> u32 {
    let rate = match record.rate() {
        Some(one_in) => Rate {
            one_in,
            origin: Origin::Record,
        },
        None => session.samplers.rate(record.sampler, record.input),
    };
    let (flow, back) = record.flows();
    each(Flow { rate, ..flow });
    if let Some(back) = back {
        each(Flow { rate, ..back });
    }
    1 + u32::from(back.is_some())
}

fn define(
    id: u16,
    template: Option<Template>,
    session: &mut Session,
    now: Instant,
    told: &mut Told,
    each: &mut dyn FnMut(Flow),
) {
    let Some(template) = template.filter(|_| id >= 256) else {
        told.bad_templates += 1;
        return;
    };
    let template = Arc::new(template);
    if !session.define(id, Arc::clone(&template)) {
        told.bad_templates += 1;
        return;
    }
    for content in session.waiting(id, now) {
        data(&template, &content, session, told, each);
        told.replayed_sets += 1;
    }
}

fn field(reader: &mut Reader<'_>, ipfix: bool) -> Option<(Field, u16)> {
    let (element, length) = (reader.u16()?, reader.u16()?);
    let enterprise = if ipfix && element & ENTERPRISE != 0 {
        reader.u32()?
    } else {
        0
    };
    let element = if ipfix {
        element & !ENTERPRISE
    } else {
        element
    };
    // 65535 is an ordinary, if absurd, length in version 9: it makes records that no datagram can hold.
    let length = if !ipfix && length == VARIABLE {
        VARIABLE - 1
    } else {
        length
    };
    Some((Field::of(element, enterprise), length))
}

fn templates(
    content: &[u8],
    ipfix: bool,
    session: &mut Session,
    now: Instant,
    told: &mut Told,
    each: &mut dyn FnMut(Flow),
) {
    let mut reader = Reader(content);
    while reader.left() >= 4 {
        let (Some(id), Some(count)) = (reader.u16(), reader.u16()) else {
            return;
        };
        if id < 256 {
            // Padding, whatever it is filled with.
            return;
        }
        if ipfix && count == 0 {
            // A withdrawal; over UDP it is to be ignored (RFC 7011 section 8.4).
            told.withdrawals += 1;
            continue;
        }
        let fields: Option<Vec<_>> = (0..count).map(|_| field(&mut reader, ipfix)).collect();
        let Some(fields) = fields else {
            told.bad_templates += 1;
            return;
        };
        define(id, Template::new(fields, false), session, now, told, each);
    }
}

fn v9_options_templates(
    content: &[u8],
    session: &mut Session,
    now: Instant,
    told: &mut Told,
    each: &mut dyn FnMut(Flow),
) {
    let mut reader = Reader(content);
    while reader.left() >= 6 {
        let (Some(id), Some(scope), Some(options)) = (reader.u16(), reader.u16(), reader.u16())
        else {
            return;
        };
        if id < 256 {
            return;
        }
        let (Some(scope), Some(options)) = (reader.take(scope.into()), reader.take(options.into()))
        else {
            told.bad_templates += 1;
            return;
        };
        let pair = |bytes: &[u8]| {
            (
                u16::from_be_bytes([bytes[0], bytes[1]]),
                u16::from_be_bytes([bytes[2], bytes[3]]),
            )
        };
        let scope = scope
            .chunks_exact(4)
            .map(pair)
            .map(|(kind, length)| (Field::of_v9_scope(kind), length));
        let options = options
            .chunks_exact(4)
            .map(pair)
            .map(|(element, length)| (Field::of(element, 0), length));
        let fields = scope
            .chain(options)
            .map(|(field, length)| (field, length.min(VARIABLE - 1)));
        define(id, Template::new(fields, true), session, now, told, each);
    }
}

fn ipfix_options_templates(
    content: &[u8],
    session: &mut Session,
    now: Instant,
    told: &mut Told,
    each: &mut dyn FnMut(Flow),
) {
    let mut reader = Reader(content);
    while reader.left() >= 4 {
        let (Some(id), Some(count)) = (reader.u16(), reader.u16()) else {
            return;
        };
        if id < 256 {
            return;
        }
        if count == 0 {
            told.withdrawals += 1;
            continue;
        }
        let scope = reader.u16();
        let fields: Option<Vec<_>> = (0..count).map(|_| field(&mut reader, true)).collect();
        let (Some(_), Some(fields)) = (scope, fields) else {
            told.bad_templates += 1;
            return;
        };
        define(id, Template::new(fields, true), session, now, told, each);
    }
}
