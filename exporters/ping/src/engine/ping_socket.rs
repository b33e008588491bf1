//! One socket at work: batches of requests out, replies, stamps and errors in.

use std::net::IpAddr;
use std::os::fd::AsFd;

use netio::control::{Control, Origin};
use netio::option::{Family, memory};
use netio::receive::{Queue, ReceiveBatch};
use netio::send::SendBatch;
use socket2::SockRef;

use super::host::Host;
use super::socket::Port;
use super::stats::{Stats, Unmatched, place};
use super::table::{Table, Unexpected};
use crate::accounting::{Answer, Verdict};
use crate::clock::{Clock, Moment, Source};
use crate::echo::{self, Mode, Tag, Token, decode_quote, decode_reply, decode_tag, find_tag};
use crate::reason::Reason;

/// Reads of one queue before something else gets its turn: 16,384 packets.
const READS: usize = 256;
/// Times a request is offered to the kernel: errors that waited on the socket for others are used up by then.
const OFFERS: usize = 3;
/// A socket that sent nothing for so long, in nanoseconds, has no answer to wait for: twice the longest timeout, and some.
const UNUSED: u64 = 150_000_000_000;
/// What tells the two identifiers of a raw socket apart.
const OTHER: u16 = 0x8000;
/// Bytes of a reply beyond its payload: ICMP header, IPv4 header with options.
const REPLY_HEADERS: usize = 8 + 60;
/// Bytes read of an entry of the error queue: headers, tag and some.
const ENTRY_BYTES: usize = 256;

/// One socket with its buffers.
pub(super) struct PingSocket {
    port: Port,
    token: Token,
    out: SendBatch,
    waiting: Vec<Tag>,
    /// Read just before the first request of the batch was put in.
    moment: Moment,
    replies: ReceiveBatch,
    reply_bytes: usize,
    entries: ReceiveBatch,
    /// Bytes of headers before the tag in the last looped packet: most often those of the next one too.
    looped_headers: usize,
    /// What the socket's buffers were last seen to hold, their limit, and what was dropped.
    buffered: [u64; 3],
    /// Replies that wait until the transmit stamps have been read.
    answers: Vec<(Tag, Answer)>,
    /// ICMP errors that wait until the replies have been read.
    failures: Vec<Failure>,
    /// Monotonic time of the last request.
    used: Option<u64>,
    /// Its buffer was full of requests that wait for their next hop.
    crowded: bool,
}

/// What an ICMP error says of a request.
struct Failure {
    tag: Tag,
    reason: Reason,
    /// Type and code, when a router or the target sent them.
    told: Option<(u8, u8)>,
    /// When it was read, nanoseconds of the monotonic clock.
    at: u64,
}

/// What a lane works on.
pub(super) struct SocketContext<'a> {
    pub(super) table: &'a mut Table,
    pub(super) clock: &'a mut Clock,
    pub(super) stats: &'a Stats,
    pub(super) host: &'a Host,
}

impl PingSocket {
    pub(super) fn new(port: Port, token: Token) -> Self {
        Self {
            port,
            token,
            out: SendBatch::new(),
            waiting: Vec::new(),
            moment: Moment::default(),
            replies: ReceiveBatch::new(REPLY_HEADERS),
            reply_bytes: REPLY_HEADERS,
            entries: ReceiveBatch::new(ENTRY_BYTES),
            looped_headers: 0,
            buffered: [0; 3],
            answers: Vec::new(),
            failures: Vec::new(),
            used: None,
            crowded: false,
        }
    }

    /// Whether its buffer was full of requests since the last look.
    pub(super) fn take_crowded(&mut self) -> bool {
        std::mem::take(&mut self.crowded)
    }

    /// There may be something to read.
    pub(super) fn is_used(&self, now: u64) -> bool {
        self.used
            .is_some_and(|used| now.saturating_sub(used) < UNUSED)
    }

    /// Makes room for replies to payloads of `size` bytes.
    pub(super) fn fit(&mut self, size: usize) {
        let wanted = size + REPLY_HEADERS;
        if wanted > self.reply_bytes {
            self.reply_bytes = wanted;
            self.replies = ReceiveBatch::new(wanted);
        }
    }

    /// Puts a request of target `number` into the batch. Answers whether a request was made.
    pub(super) fn request(
        &mut self,
        number: u32,
        address: IpAddr,
        other_identifier: bool,
        context: &mut SocketContext<'_>,
    ) -> bool {
        if self.out.is_empty() {
            self.moment = context.clock.now();
            self.used = Some(self.moment.mono);
        }
        let Some((target, profile)) = context.table.by_number(number) else {
            return false;
        };
        let Some(sequence) = target.accounting.sent(self.moment) else {
            return false;
        };
        let tag = Tag {
            target: number,
            generation: target.generation,
            sequence,
        };
        // Of a socket without privilege the kernel writes its own.
        let identifier = self.port.identifier ^ (u16::from(other_identifier) * OTHER);
        let (family, token) = (self.port.family, self.token);
        self.out.push(
            echo::destination(address, profile.out.interface),
            |to| echo::encode_request(to, family, identifier, token, tag, profile.size),
            |to| profile.out.append(to, family),
        );
        self.waiting.push(tag);
        true
    }

    /// The batch is to be sent before another request is put into it.
    pub(super) fn is_full(&self, batch: usize) -> bool {
        self.out.len() >= batch
    }

    /// Sends what is in the batch. What the kernel refuses has failed, with a reason.
    pub(super) fn flush(&mut self, context: &mut SocketContext<'_>) {
        if self.out.is_empty() {
            return;
        }
        let (mut first, mut offers) = (0, 0);
        // In the order in which they were put: `waiting` has the same places, so that a failure is counted for the right target.
        while first < self.out.len() {
            match self.out.send(self.port.as_fd(), first) {
                Ok(count) if count > 0 => {
                    first += count;
                    offers = 0;
                }
                Ok(_) => break,
                Err(error) => {
                    offers += 1;
                    if offers < OFFERS {
                        // A socket reports an ICMP error of an earlier request in place of sending: it costs one call and is no failure of
                        // this request. The error is taken off first, then the queue is read for whom it was about, then the same request
                        // is offered again. Only what is refused each time has failed by itself.
                        let _ = SockRef::from(&self.port.as_fd()).take_error();
                        self.read_entries(context);
                        continue;
                    }
                    let now = context.clock.now().mono;
                    context.stats.refused(self.port.family, &error, now);
                    self.crowded |= error.kind() == std::io::ErrorKind::WouldBlock;
                    if let Some(tag) = self.waiting.get(first)
                        && let Some(target) = context.table.get(tag.target, tag.generation)
                    {
                        target
                            .accounting
                            .failed(tag.sequence, Reason::of_refusal(&error), now);
                    }
                    first += 1;
                    offers = 0;
                }
            }
        }
        self.out.clear();
        self.waiting.clear();
    }

    /// Reads what came. Answers whether everything that waited was read.
    pub(super) fn receive(&mut self, context: &mut SocketContext<'_>) -> bool {
        let mut sources = [0; Source::ALL.len()];
        let all = self.read(context, &mut sources);
        self.count_failures(context);
        for (cell, count) in context.stats.timestamps.iter().zip(sources) {
            cell.add(count);
        }
        all
    }

    /// `sources` counts round trips by what they were measured with.
    fn read(
        &mut self,
        context: &mut SocketContext<'_>,
        sources: &mut [u64; Source::ALL.len()],
    ) -> bool {
        for round in 0..READS {
            let count = self.replies.receive(self.port.as_fd(), Queue::Data);
            let read = context.clock.now();
            match count {
                Ok(0) => {
                    if round == 0 {
                        self.read_entries(context);
                    }
                    return true;
                }
                Ok(_) => {}
                // An error that waits on the socket, told in the error queue too, hides the replies once.
                Err(error) => {
                    if error
                        .raw_os_error()
                        .is_none_or(|errno| !is_icmp_errno(errno))
                    {
                        context.stats.receive_errors[place(self.port.family)].add(1);
                    }
                    self.read_entries(context);
                    continue;
                }
            }
            context.table.warm(self.numbers());
            for reply in self.replies.datagrams() {
                match judge(&self.port, self.token, &reply, context.table) {
                    Ok(answer) => self.answers.push(answer),
                    Err((why, tag)) => {
                        context.stats.unmatched(why);
                        let target =
                            tag.and_then(|tag| context.table.get(tag.target, tag.generation));
                        if let Some(target) = target.filter(|_| why == Unmatched::WrongSource) {
                            target.accounting.elsewhere();
                        }
                    }
                }
            }
            // The kernel queued the transmit stamp of each of these before the reply.
            self.read_entries(context);
            for (tag, answer) in self.answers.drain(..) {
                let Some(target) = context.table.get(tag.target, tag.generation) else {
                    continue;
                };
                match target.accounting.answered(answer, read) {
                    Verdict::Counted(Some(source)) => sources[source as usize] += 1,
                    Verdict::Stale => context.stats.unmatched(Unmatched::Stale),
                    _ => {}
                }
            }
        }
        false
    }

    /// The targets that the packets just read seem to answer.
    fn numbers(&self) -> impl Iterator<Item = u32> {
        let headers = match (self.port.family, self.port.mode) {
            (Family::V4, Mode::Raw) => 20 + echo::HEADER_BYTES,
            _ => echo::HEADER_BYTES,
        };
        let payloads = self.replies.payloads();
        let tags =
            payloads.filter_map(move |payload| decode_tag(self.token, payload.get(headers..)?));
        tags.map(|tag| tag.target)
    }

    /// Reads transmit stamps and ICMP errors.
    fn read_entries(&mut self, context: &mut SocketContext<'_>) {
        for _ in 0..READS {
            let count = match self.entries.receive(self.port.as_fd(), Queue::Error) {
                Ok(0) => return,
                Ok(count) => count,
                Err(_) => {
                    context.stats.receive_errors[place(self.port.family)].add(1);
                    return;
                }
            };
            let mut read = None;
            for datagram in self.entries.datagrams() {
                let Some(entry) = datagram.control.entry else {
                    continue;
                };
                if entry.origin == Origin::Timestamp {
                    let tag = looped(&mut self.looped_headers, self.token, datagram.payload);
                    let target = tag.and_then(|tag| context.table.get(tag.target, tag.generation));
                    if let (Some(tag), Some(target), Some(stamp)) =
                        (tag, target, datagram.control.stamp)
                    {
                        let read = *read.get_or_insert_with(|| context.clock.now());
                        target.accounting.transmitted(tag.sequence, stamp.0, read);
                    }
                    continue;
                }
                let Some(reason) = Reason::of_entry(&entry) else {
                    continue;
                };
                let address = datagram.address.map(|address| address.ip());
                let at = read.get_or_insert_with(|| context.clock.now()).mono;
                let here = reason == Reason::HostUnreachable
                    && entry
                        .offender
                        .zip(address)
                        .is_some_and(|(offender, target)| {
                            context.host.is_at_fault(offender, target, at)
                        });
                let reason = if here { Reason::NoRoute } else { reason };
                let local = here || entry.origin == Origin::Local;
                match self.quoted(datagram.payload, address, context.table) {
                    Ok(tag) => self.failures.push(Failure {
                        tag,
                        reason,
                        told: (!local).then_some((entry.kind, entry.code)),
                        at,
                    }),
                    Err(why) => context.stats.unmatched(why),
                }
            }
            // The kernel stops before its batch is full only when nothing more waits.
            if count < netio::BATCH {
                return;
            }
        }
    }

    /// Counts the failures read so far. An answer and an error about the same request come in by different queues, of which this
    /// process, when it is late, reads both at once: whoever answered has answered, so answers are counted first.
    fn count_failures(&mut self, context: &mut SocketContext<'_>) {
        for failure in self.failures.drain(..) {
            let Failure {
                tag,
                reason,
                told,
                at,
            } = failure;
            let Some(target) = context.table.get(tag.target, tag.generation) else {
                context.stats.unmatched(Unmatched::Removed);
                continue;
            };
            match target.accounting.failed(tag.sequence, reason, at) {
                Verdict::Stale => context.stats.unmatched(Unmatched::Stale),
                Verdict::Counted(_) => {
                    if let Some((kind, code)) = told {
                        target.accounting.told(kind, code);
                    }
                }
                _ => {}
            }
        }
    }

    /// Which request an ICMP error is about.
    fn quoted(
        &self,
        payload: &[u8],
        address: Option<IpAddr>,
        table: &Table,
    ) -> Result<Tag, Unmatched> {
        let quote =
            decode_quote(self.port.family, self.token, payload).ok_or(Unmatched::Malformed)?;
        if self.port.mode == Mode::Raw && (quote.identifier ^ self.port.identifier) & !OTHER != 0 {
            return Err(Unmatched::Foreign);
        }
        match (quote.tag, address) {
            (Some(tag), _) => Ok(tag),
            (None, Some(address)) => table
                .by_quote(address, quote.sequence)
                .ok_or(Unmatched::Stale),
            (None, None) => Err(Unmatched::Malformed),
        }
    }

    /// Takes note of what the socket's buffers hold.
    pub(super) fn measure(&mut self, stats: &Stats) {
        let at = place(self.port.family);
        if let Ok(memory) = memory(self.port.as_fd()) {
            let [bytes, limit, dropped] = &mut self.buffered;
            stats.dropped[at].change(dropped, memory.dropped.into());
            stats.buffered[at]
                .0
                .change(bytes, memory.receive_bytes.into());
            stats.buffered[at]
                .1
                .change(limit, memory.receive_limit_bytes.into());
        }
    }

    /// Bytes that wait in the socket when the kernel begins to drop.
    pub(super) fn limit(&self) -> Option<u32> {
        let memory = memory(self.port.as_fd()).ok()?;
        Some(memory.receive_limit_bytes)
    }
}

/// Finds our tag in a looped packet, first where it was in the last one.
fn looped(headers: &mut usize, token: Token, packet: &[u8]) -> Option<Tag> {
    let there = packet.get(*headers..);
    if let Some(tag) = there.and_then(|payload| decode_tag(token, payload)) {
        return Some(tag);
    }
    let (at, tag) = find_tag(token, packet)?;
    *headers = at;
    Some(tag)
}

/// What a received packet answers, or why it answers nothing, and the tag that it bears all the same.
fn judge(
    port: &Port,
    token: Token,
    datagram: &netio::receive::Datagram<'_>,
    table: &Table,
) -> Result<(Tag, Answer), (Unmatched, Option<Tag>)> {
    let reply = decode_reply(port.family, port.mode, datagram.payload)
        .ok_or((Unmatched::Malformed, None))?;
    let tag = decode_tag(token, reply.payload).ok_or((Unmatched::Foreign, None))?;
    let address = datagram.address.map(|address| address.ip());
    let sizes = table
        .expected(tag, address)
        .map_err(|unexpected| match unexpected {
            Unexpected::Removed => (Unmatched::Removed, None),
            Unexpected::WrongSource => (Unmatched::WrongSource, Some(tag)),
        })?;
    let content = sizes
        .iter()
        .any(|&size| echo::is_whole(reply.payload, size));
    let whole = content && !datagram.truncated && reply.sequence == tag.sequence as u16;
    let Control {
        stamp,
        hop_limit,
        traffic_class,
        ..
    } = datagram.control;
    let received = stamp.map(|stamp| stamp.0);
    Ok((
        tag,
        Answer {
            sequence: tag.sequence,
            received,
            hop_limit,
            traffic_class,
            whole,
        },
    ))
}

/// Errors the kernel leaves on a socket for an ICMP error that came in.
fn is_icmp_errno(errno: i32) -> bool {
    // EHOSTUNREACH, ENETUNREACH, ECONNREFUSED, EMSGSIZE, EPROTO, EACCES, EREMOTEIO, ENOPROTOOPT, EOPNOTSUPP,
    // EHOSTDOWN, ENONET.
    [113, 101, 111, 90, 71, 13, 121, 92, 95, 112, 64].contains(&errno)
}
