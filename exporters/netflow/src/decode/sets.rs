//! NetFlow v9 (RFC 3954) and IPFIX (RFC 7011): a header, then sets of templates, options templates and records.

use std::sync::Arc;
use std::time::Instant;

use super::{Counts, Head, Malformed};
use crate::flow::{Direction, Flow, Origin, Rate};
use crate::session::Session;
use crate::template::read::Reader;
use crate::template::{Clock, Field, LEAD, Template};

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
    each: &mut impl FnMut(&Flow),
) -> (Counts, Option<Malformed>) {
    let ipfix = head.version == 10;
    let (body, mut end) = if ipfix {
        let length = u16::from_be_bytes([datagram[2], datagram[3]]);
        (16, usize::from(length))
    } else {
        (20, datagram.len())
    };
    let mut told = Counts::default();
    let mut records = Some(0_u32);
    let mut at = body;
    session.clock.export_ms = u64::from(head.export_seconds.unwrap_or(0)) * 1_000;
    session.clock.uptime_ms = head.uptime_ms;
    let mut reading = Reading {
        ipfix,
        domain: head.domain,
        clock: session.clock,
        now,
        session,
        told: &mut told,
        each,
    };
    // Less than a set's header is padding.
    while end - at >= 4 {
        let mut reader = Reader(&datagram[at..end]);
        let (Some(id), Some(length)) = (reader.u16(), reader.u16()) else {
            break;
        };
        let length = usize::from(length);
        if id == 0 && length == 0 {
            // Palo Alto fills datagrams up with zeros.
            break;
        }
        if length > end - at {
            // Exporters are known whose header is short by the padding of a set. The datagram is what there is.
            end = datagram.len();
        }
        if length < 4 || length > end - at {
            head.units = if ipfix { None } else { head.units };
            return (told, Some(Malformed::Set));
        }
        let content = &datagram[at + 4..at + length];
        match (ipfix, id) {
            (false, 0) | (true, 2) => reading.templates(content, false),
            (false, 1) => reading.v9_options_templates(content),
            (true, 3) => reading.templates(content, true),
            (_, 256..) => match reading.session.template(id) {
                Some(template) => {
                    // With what stands before them; the header of the datagram is longer than that.
                    let count = reading.data(&template, &datagram[at + 4 - LEAD..at + length]);
                    records = records.map(|records| records.saturating_add(count));
                }
                None => {
                    records = None;
                    reading.session.keep(id, content, now);
                }
            },
            _ => reading.told.reserved_sets += 1,
        }
        at += length;
    }
    if ipfix {
        head.units = records;
    }
    (told, None)
}

/// Gives a session a template that another stream of the same exporter and domain told, and reads what waited for it.
pub(super) fn adopt(
    session: &mut Session,
    id: u16,
    template: &Arc<Template>,
    now: Instant,
    each: &mut impl FnMut(&Flow),
) -> Counts {
    let mut told = Counts::default();
    let mut reading = Reading {
        ipfix: true,
        domain: 0,
        clock: session.clock,
        now,
        session,
        told: &mut told,
        each,
    };
    reading.define(id, Some(Template::clone(template)));
    told
}

/// The interface where a flow was measured: options may tell a rate for each.
#[inline]
fn measured_at(flow: &Flow) -> u32 {
    match flow.direction {
        Some(Direction::Egress) => flow.output,
        _ => flow.input,
    }
}

/// A datagram while it is read.
struct Reading<'a, F> {
    ipfix: bool,
    domain: u32,
    clock: Clock,
    now: Instant,
    session: &'a mut Session,
    told: &'a mut Counts,
    each: &'a mut F,
}

impl<F: FnMut(&Flow)> Reading<'_, F> {
    /// Takes the records of a set, with [`LEAD`] octets before them; answers how many.
    fn data(&mut self, template: &Template, bytes: &[u8]) -> u32 {
        let has = &template.has;
        let (count, whole) = if template.options {
            template.records(bytes, |values| {
                self.session
                    .learn(values.sampler(has), values.interface(), values.rate(has));
                self.session.clock.init_ms = values.init_ms().or(self.session.clock.init_ms);
                self.session.active_timeout =
                    values.active_timeout().or(self.session.active_timeout);
                // A relay tells of each domain, and of whom it is, in any of them.
                if has.exporter && [0, self.domain].contains(&values.domain()) {
                    let told = values.exporter(has).or(self.session.exporter);
                    self.session.changed |= told != self.session.exporter;
                    self.session.exporter = told;
                }
            })
        } else if has.is_plain() {
            self.plain(template, bytes)
        } else if has.counters || has.reverse {
            self.flows(template, bytes)
        } else {
            let told = &mut *self.told;
            template.records(bytes, |_| told.events += 1)
        };
        self.told.cut_records += u32::from(!whole);
        count
    }

    /// Flows of a template whose records say nothing unusual: one is filled again and again.
    fn plain(&mut self, template: &Template, bytes: &[u8]) -> (u32, bool) {
        let (has, samplers) = (&template.has, &self.session.samplers);
        let mut flow = Flow {
            exporter: self.session.exporter,
            ..Flow::default()
        };
        let mut ahead = 0;
        let (count, whole) = template.records(bytes, |values| {
            values.plain(has, &self.clock, &mut flow);
            flow.rate = samplers.rate(values.sampler(has), measured_at(&flow));
            ahead += u32::from(flow.span.is_some_and(|span| span.ahead));
            (self.each)(&flow);
        });
        self.told.flows += count;
        self.told.ahead += ahead;
        (count, whole)
    }

    /// Flows of any template.
    fn flows(&mut self, template: &Template, bytes: &[u8]) -> (u32, bool) {
        let has = &template.has;
        let (samplers, clock) = (&self.session.samplers, &self.clock);
        let exporter = self.session.exporter;
        let (each, told) = (&mut *self.each, &mut *self.told);
        template.records(bytes, |values| {
            let mut flow = values.flow(has, clock);
            flow.rate = match values.rate(has) {
                Some(one_in) => Rate {
                    one_in,
                    origin: Origin::Record,
                },
                None => samplers.rate(values.sampler(has), measured_at(&flow)),
            };
            flow.exporter = flow.exporter.or(exporter);
            told.flows += 1;
            told.ahead += u32::from(flow.span.is_some_and(|span| span.ahead));
            each(&flow);
            if let Some(back) = values.back(has, &flow) {
                told.flows += 1;
                told.biflows += 1;
                each(&back);
            }
        })
    }

    fn define(&mut self, id: u16, template: Option<Template>) {
        let Some(template) = template.filter(|_| id >= 256) else {
            self.told.bad_templates += 1;
            return;
        };
        let template = self.session.plans.share(template);
        if !self.session.define(id, Arc::clone(&template)) {
            self.told.bad_templates += 1;
            return;
        }
        for content in self.session.waiting(id, self.now) {
            self.data(&template, &content);
            self.told.replayed_sets += 1;
        }
    }

    fn field(&self, reader: &mut Reader<'_>) -> Option<Field> {
        let (element, length) = (reader.u16()?, reader.u16()?);
        let own = self.ipfix && element & ENTERPRISE != 0;
        Some(Field {
            element: if own { element & !ENTERPRISE } else { element },
            enterprise: if own { reader.u32()? } else { 0 },
            // 65535 stands for a length that the record tells in version 9 too: NetStream of H3C has it, and no datagram could hold a record
            // of it otherwise.
            length,
        })
    }

    /// Templates of both versions, and options templates of IPFIX.
    fn templates(&mut self, content: &[u8], options: bool) {
        let mut reader = Reader(content);
        while reader.left() >= 4 {
            let (Some(id), Some(count)) = (reader.u16(), reader.u16()) else {
                return;
            };
            if self.ipfix && count == 0 && id >= 2 {
                // A withdrawal, of one template or of all; over UDP it is to be ignored (RFC 7011 section 8.4).
                self.told.withdrawals += 1;
                continue;
            }
            if id < 256 {
                // Padding, whatever it is filled with.
                return;
            }
            let scope = !options || reader.u16().is_some();
            let fields: Option<Vec<_>> = (0..count).map(|_| self.field(&mut reader)).collect();
            let Some(fields) = fields.filter(|_| scope) else {
                self.told.bad_templates += 1;
                return;
            };
            self.define(id, Template::new(fields, options));
        }
    }

    fn v9_options_templates(&mut self, content: &[u8]) {
        let mut reader = Reader(content);
        while reader.left() >= 6 {
            let (Some(id), Some(scope), Some(options)) = (reader.u16(), reader.u16(), reader.u16())
            else {
                return;
            };
            if id < 256 {
                return;
            }
            let (Some(scope), Some(options)) =
                (reader.take(scope.into()), reader.take(options.into()))
            else {
                self.told.bad_templates += 1;
                return;
            };
            let pairs = |bytes: &'_ [u8]| -> Vec<(u16, u16)> {
                let pair = |b: &[u8]| {
                    (
                        u16::from_be_bytes([b[0], b[1]]),
                        u16::from_be_bytes([b[2], b[3]]),
                    )
                };
                bytes.chunks_exact(4).map(pair).collect()
            };
            let fields = pairs(scope)
                .into_iter()
                .map(|(kind, length)| Field::of_v9_scope(kind, length));
            let options = pairs(options).into_iter().map(|(element, length)| Field {
                element,
                enterprise: 0,
                length,
            });
            self.define(id, Template::new(fields.chain(options).collect(), true));
        }
    }
}
