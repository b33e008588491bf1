//! What the engine counts about itself.

use std::sync::atomic::{AtomicU64, Ordering};

use netio::option::Family;

use crate::clock::Source;

/// Why a received packet belongs to no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Unmatched {
    /// It is no echo reply or quotes no echo request.
    Malformed,
    /// It does not bear the token of this process.
    Foreign,
    /// Its target is no longer probed.
    Removed,
    /// The sender is not the address that was probed.
    WrongSource,
    /// Its request is too old to be remembered.
    Stale,
}

impl Unmatched {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::Malformed,
        Self::Foreign,
        Self::Removed,
        Self::WrongSource,
        Self::Stale,
    ];

    /// The value of the label `reason`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Foreign => "foreign",
            Self::Removed => "removed",
            Self::WrongSource => "wrong_source",
            Self::Stale => "stale",
        }
    }
}

/// Errors of the system call that sends, by number and name; the last is any other.
pub const SEND_ERRORS: [(i32, &str); 12] = [
    (1, "EPERM"),
    (11, "EAGAIN"),
    (13, "EACCES"),
    (19, "ENODEV"),
    (22, "EINVAL"),
    (90, "EMSGSIZE"),
    (97, "EAFNOSUPPORT"),
    (99, "EADDRNOTAVAIL"),
    (101, "ENETUNREACH"),
    (105, "ENOBUFS"),
    (113, "EHOSTUNREACH"),
    (0, "other"),
];

/// Nanoseconds without an error after which it is told anew.
const REPEAT: u64 = 60_000_000_000;

/// A number that the threads of the engine write and others read.
#[derive(Debug, Default)]
pub struct Cell(AtomicU64);

impl Cell {
    pub(super) fn add(&self, count: u64) {
        if count > 0 {
            self.0.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Makes `now` of what was `part` of the sum.
    pub(super) fn change(&self, part: &mut u64, now: u64) {
        let before = std::mem::replace(part, now);
        self.0
            .fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters and gauges of the engine, of all its threads and sockets together.
#[derive(Debug, Default)]
pub struct Stats {
    /// Targets being probed.
    pub targets: Cell,
    /// Threads that probe.
    pub threads: Cell,
    /// Sockets of a family, IPv4 and IPv6.
    pub sockets: [Cell; 2],
    /// Requests a thousand seconds that the targets ask for.
    pub(super) rate: Cell,
    /// Wake-ups more than one tick late.
    pub late_ticks: Cell,
    /// Requests not made because their time had passed.
    pub skipped: Cell,
    /// How long the last change of the targets took, in nanoseconds.
    pub change_nanos: Cell,
    /// Requests that waited because enough went to their prefix.
    pub paced: Cell,
    /// Changes of the identifier that the requests of a target bear.
    pub identifier_changes: Cell,
    /// Requests of a family, IPv4 and IPv6, that this host did not send, by the error: places of [`SEND_ERRORS`].
    pub send_errors: [[Cell; SEND_ERRORS.len()]; 2],
    /// When the last of each of these was, monotonic; 0 for never.
    refused_at: [[Cell; SEND_ERRORS.len()]; 2],
    /// Steps of the real-time clock.
    pub clock_steps: Cell,
    /// Round trips by [`Source`].
    pub timestamps: [Cell; Source::ALL.len()],
    /// Packets by [`Unmatched`].
    pub unmatched: [Cell; Unmatched::ALL.len()],
    /// Packets the sockets of a family dropped for want of buffer, IPv4 and IPv6.
    pub dropped: [Cell; 2],
    /// Failed reads of the sockets of a family that are no ICMP error, IPv4 and IPv6.
    pub receive_errors: [Cell; 2],
    /// Bytes that wait in the sockets of a family, IPv4 and IPv6, and where they begin to drop.
    pub buffered: [(Cell, Cell); 2],
}

impl Stats {
    /// A request was not sent for this error, at the monotonic time `now`. It is counted, and told when it begins: of ten thousand targets and
    /// several threads it is the same.
    pub(super) fn refused(&self, family: Family, error: &std::io::Error, now: u64) {
        let errno = error.raw_os_error();
        let known = SEND_ERRORS
            .iter()
            .position(|(number, _)| Some(*number) == errno);
        let at = known.unwrap_or(SEND_ERRORS.len() - 1);
        self.send_errors[place(family)][at].add(1);
        let last = &self.refused_at[place(family)][at].0;
        let last = last.swap(now.max(1), Ordering::Relaxed);
        if last == 0 || now.saturating_sub(last) > REPEAT {
            tracing::warn!(
                ?family,
                errno,
                %error,
                "this host does not send echo requests: nothing is known of their targets"
            );
        }
    }

    pub(super) fn unmatched(&self, why: Unmatched) {
        self.unmatched[why as usize].add(1);
    }
}

/// Where a family stands in the arrays of [`Stats`].
pub fn place(family: Family) -> usize {
    match family {
        Family::V4 => 0,
        Family::V6 => 1,
    }
}
