//! Bytes of a datagram in, flows out: NetFlow v5 and v9, IPFIX and sFlow v5, told apart by their first bytes.
//!
//! Nothing here panics or loops on any input: lengths are checked where they are read, a set is framed by its own length, and a template
//! whose records could be empty is refused.

#[cfg(test)]
mod allocations;
mod sets;
mod sflow;
#[cfg(test)]
mod tests;
mod v5;

use std::time::Instant;

use crate::flow::Flow;
use crate::session::Session;

/// What the header of a datagram says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// 5, 9 or 10 (IPFIX); 0 stands for sFlow v5.
    pub version: u16,
    /// Observation domain, source id, engine or sub-agent.
    pub domain: u32,
    /// Sequence number, of what [`Head::units`] counts.
    pub sequence: u32,
    /// When the exporter sent it, Unix seconds.
    pub export_seconds: Option<u32>,
    /// Milliseconds since the exporter started.
    pub uptime_ms: Option<u32>,
    /// By how much this datagram moves the sequence on: records (v5, IPFIX) or 1 (v9, sFlow); `None` when it holds records that could not
    /// be counted.
    pub units: Option<u32>,
}

impl Head {
    /// The protocol as a label value.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        match self.version {
            5 => Protocol::NetFlow5,
            9 => Protocol::NetFlow9,
            10 => Protocol::Ipfix,
            _ => Protocol::Sflow,
        }
    }
}

/// The protocols that are understood.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// NetFlow v5.
    NetFlow5,
    /// NetFlow v9, RFC 3954.
    NetFlow9,
    /// IPFIX, RFC 7011.
    Ipfix,
    /// sFlow v5.
    Sflow,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::NetFlow5, Self::NetFlow9, Self::Ipfix, Self::Sflow];

    /// As a label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NetFlow5 => "netflow5",
            Self::NetFlow9 => "netflow9",
            Self::Ipfix => "ipfix",
            Self::Sflow => "sflow5",
        }
    }
}

/// What reading a datagram told beside its flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Flows given out.
    pub flows: u32,
    /// Records that ended before they were whole, or samples that say nothing of their packet.
    pub cut_records: u32,
    /// Templates that were refused: no fields, records of no length, too many.
    pub bad_templates: u32,
    /// Withdrawals, which are ignored over UDP.
    pub withdrawals: u32,
    /// Sets with a reserved id.
    pub reserved_sets: u32,
    /// Sets that had waited for their template.
    pub replayed_sets: u32,
    /// sFlow counter samples, which SNMP tells better.
    pub counter_samples: u32,
    /// Records without counters of octets or packets: events, such as of NAT or of a firewall, that are no flows.
    pub events: u32,
    /// Records that told both directions of a conversation.
    pub biflows: u32,
    /// Flows that claim to end minutes after their export; they count as of the export.
    pub ahead: u32,
}

impl Counts {
    /// Adds what another datagram told.
    pub fn add(&mut self, other: Self) {
        let sum = |value: &mut u32, more: u32| *value = value.saturating_add(more);
        sum(&mut self.flows, other.flows);
        sum(&mut self.cut_records, other.cut_records);
        sum(&mut self.bad_templates, other.bad_templates);
        sum(&mut self.withdrawals, other.withdrawals);
        sum(&mut self.reserved_sets, other.reserved_sets);
        sum(&mut self.replayed_sets, other.replayed_sets);
        sum(&mut self.counter_samples, other.counter_samples);
        sum(&mut self.events, other.events);
        sum(&mut self.biflows, other.biflows);
        sum(&mut self.ahead, other.ahead);
    }
}

/// Why a datagram, or the rest of it, was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum Malformed {
    /// The first bytes are of no protocol that is understood.
    #[error("neither NetFlow 5 or 9, IPFIX nor sFlow 5")]
    Version,
    /// Shorter than its header.
    #[error("shorter than its header")]
    Header,
    /// The count of records is 0 or more than the datagram holds.
    #[error("a count of records that the datagram does not hold")]
    Count,
    /// The length in the header is not that of the datagram.
    #[error("a length that the datagram does not have")]
    Length,
    /// A set is shorter than its header or longer than what is left.
    #[error("a set that does not fit")]
    Set,
    /// sFlow that cannot be read.
    #[error("sFlow that cannot be read")]
    Sflow,
}

impl Malformed {
    /// All reasons.
    pub const ALL: [Self; 6] = [
        Self::Version,
        Self::Header,
        Self::Count,
        Self::Length,
        Self::Set,
        Self::Sflow,
    ];

    /// As a label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Header => "header",
            Self::Count => "count",
            Self::Length => "length",
            Self::Set => "set",
            Self::Sflow => "sflow",
        }
    }
}

/// Protocol and domain of a datagram, before its records are read: what names its [`Session`].
///
/// # Errors
/// It is of no protocol that is understood, or shorter than its header.
pub fn session(datagram: &[u8]) -> Result<(Protocol, u64), Malformed> {
    let version = datagram.get(..2).ok_or(Malformed::Header)?;
    match u16::from_be_bytes([version[0], version[1]]) {
        5 => {
            let engine = datagram.get(20..22).ok_or(Malformed::Header)?;
            Ok((
                Protocol::NetFlow5,
                u64::from(u16::from_be_bytes([engine[0], engine[1]])),
            ))
        }
        9 => sets::v9_head(datagram)
            .map(|head| (Protocol::NetFlow9, u64::from(head.domain)))
            .ok_or(Malformed::Header),
        10 => sets::ipfix_head(datagram).map(|head| (Protocol::Ipfix, u64::from(head.domain))),
        0 if datagram.get(2..4) == Some(&[0, 5]) => {
            // Agent address of 4 or 16 bytes, then the sub-agent: together they number what comes.
            let at = match datagram.get(4..8) {
                Some([0, 0, 0, 1]) => 12,
                Some([0, 0, 0, 2]) => 24,
                _ => return Err(Malformed::Sflow),
            };
            let words = datagram
                .get(8..at + 4)
                .ok_or(Malformed::Header)?
                .chunks_exact(4);
            let mut words =
                words.map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
            let sub_agent = words.next_back().unwrap_or(0);
            let agent = words.fold(0, |agent: u32, word| agent.rotate_left(7) ^ word);
            Ok((
                Protocol::Sflow,
                u64::from(agent) << 32 | u64::from(sub_agent),
            ))
        }
        _ => Err(Malformed::Version),
    }
}

/// Sequence number of a datagram's header: with its [`fingerprint`] enough to know one that came before.
#[must_use]
pub fn number(datagram: &[u8]) -> Option<u32> {
    let at = match datagram {
        [0, 5, ..] | [0, 0, 0, 5, 0, 0, 0, 1, ..] => 16,
        [0, 9, ..] => 12,
        [0, 10, ..] => 8,
        [0, 0, 0, 5, 0, 0, 0, 2, ..] => 28,
        _ => return None,
    };
    let bytes = datagram.get(at..at + 4)?;
    Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// What tells a datagram from every other one, as long as nobody wants to be mistaken.
#[must_use]
pub fn fingerprint(datagram: &[u8]) -> u64 {
    use std::hash::BuildHasher as _;
    foldhash::fast::FixedState::with_seed(0).hash_one(datagram)
}

/// Gives a session the templates that its sets wait for, where the other streams of the same exporter and domain know one and agree on it: an
/// exporter may tell its templates from another port than its data. Answers what reading those sets told.
pub fn adopt(
    session: &mut Session,
    others: &[&Session],
    now: Instant,
    each: &mut impl FnMut(&Flow),
) -> Counts {
    let mut told = Counts::default();
    for id in session.missing_templates() {
        let mut known = others.iter().filter_map(|other| other.template(id));
        if let Some(template) = known.next()
            && known.all(|other| other == template)
        {
            told.add(sets::adopt(session, id, &template, now, each));
        }
    }
    told
}

/// Reads the whole datagram into its session; `each` gets the flows in their order. Of one with a malformed set, what came before it is
/// given out. Answers the head where it could be read, what was told, and what is wrong.
pub fn read(
    datagram: &[u8],
    session: &mut Session,
    now: Instant,
    each: &mut impl FnMut(&Flow),
) -> (Option<Head>, Counts, Option<Malformed>) {
    match datagram {
        [0, 5, ..] => {
            let mut told = Counts::default();
            let head = v5::read(datagram, |flow| {
                told.flows += 1;
                each(flow);
            });
            match head {
                Ok(head) => (Some(head), told, None),
                Err(malformed) => (None, told, Some(malformed)),
            }
        }
        [0, 9 | 10, ..] => {
            let head = match datagram[1] {
                9 => sets::v9_head(datagram).ok_or(Malformed::Header),
                _ => sets::ipfix_head(datagram),
            };
            match head {
                Ok(mut head) => {
                    let (told, malformed) = sets::read(datagram, &mut head, session, now, each);
                    (Some(head), told, malformed)
                }
                Err(malformed) => (None, Counts::default(), Some(malformed)),
            }
        }
        [0, 0, 0, 5, ..] => match sflow::read(datagram, each) {
            Ok((head, told)) => (Some(head), told, None),
            Err(malformed) => (None, Counts::default(), Some(malformed)),
        },
        _ => (None, Counts::default(), Some(Malformed::Version)),
    }
}
