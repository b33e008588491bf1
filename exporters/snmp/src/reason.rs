//! Why a scrape, or a part of it, failed.

/// The label `reason` of `snmp_error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The target did not answer within its time and tries.
    Timeout,
    /// Time was up while the target was still answering.
    Deadline,
    /// ICMP: nothing listens on the port.
    IcmpRefused,
    /// ICMP: host or network unreachable, or forbidden.
    IcmpUnreachable,
    /// The name of the target has no address.
    Dns,
    /// The message could not be sent from here.
    Send,
    /// Version 3: the target does not know the user.
    UnknownUser,
    /// Version 3: the target found the digest wrong; mostly a wrong password or protocol.
    WrongDigest,
    /// Version 3: an answer came with a wrong digest.
    BadReplyDigest,
    /// Version 3: the target could not decrypt; mostly a wrong privacy password or protocol.
    Decrypt,
    /// Version 3: the clocks could not be brought together.
    NotInWindow,
    /// Version 3: the target keeps naming another engine.
    UnknownEngine,
    /// Version 3: the user may not use this security level.
    SecurityLevel,
    /// Version 3: the target has no such context.
    UnknownContext,
    /// One value alone does not fit a message.
    TooBig,
    /// The target failed inside (genErr).
    GenErr,
    /// Access was denied.
    Authorization,
    /// Another error status.
    ErrorStatus,
    /// An identifier came that is not behind the one asked for.
    NonIncreasing,
    /// An answer could not be read.
    Decode,
    /// An answer holds nothing, or not what was asked for.
    BadAnswer,
    /// More came than may be kept.
    TooLarge,
    /// Two series of the same labels.
    Duplicate,
    /// A value whose type does not fit its metric.
    BadType,
    /// Two metrics of one name with different help, type or labels.
    Inconsistent,
    /// The configuration does not allow what was asked.
    Configuration,
    /// The target may not be asked with these credentials.
    NotAllowed,
}

impl Reason {
    /// Every reason, in the order of the documentation.
    pub const ALL: [Self; 27] = [
        Self::Timeout,
        Self::Deadline,
        Self::IcmpRefused,
        Self::IcmpUnreachable,
        Self::Dns,
        Self::Send,
        Self::UnknownUser,
        Self::WrongDigest,
        Self::BadReplyDigest,
        Self::Decrypt,
        Self::NotInWindow,
        Self::UnknownEngine,
        Self::SecurityLevel,
        Self::UnknownContext,
        Self::TooBig,
        Self::GenErr,
        Self::Authorization,
        Self::ErrorStatus,
        Self::NonIncreasing,
        Self::Decode,
        Self::BadAnswer,
        Self::TooLarge,
        Self::Duplicate,
        Self::BadType,
        Self::Inconsistent,
        Self::Configuration,
        Self::NotAllowed,
    ];

    /// The label value.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Deadline => "deadline",
            Self::IcmpRefused => "icmp_refused",
            Self::IcmpUnreachable => "icmp_unreachable",
            Self::Dns => "dns",
            Self::Send => "send",
            Self::UnknownUser => "unknown_user",
            Self::WrongDigest => "wrong_digest",
            Self::BadReplyDigest => "bad_reply_digest",
            Self::Decrypt => "decrypt",
            Self::NotInWindow => "not_in_window",
            Self::UnknownEngine => "unknown_engine",
            Self::SecurityLevel => "security_level",
            Self::UnknownContext => "unknown_context",
            Self::TooBig => "too_big",
            Self::GenErr => "gen_err",
            Self::Authorization => "authorization",
            Self::ErrorStatus => "error_status",
            Self::NonIncreasing => "non_increasing",
            Self::Decode => "decode",
            Self::BadAnswer => "bad_answer",
            Self::TooLarge => "too_large",
            Self::Duplicate => "duplicate",
            Self::BadType => "bad_type",
            Self::Inconsistent => "inconsistent",
            Self::Configuration => "configuration",
            Self::NotAllowed => "not_allowed",
        }
    }

    /// What it means, for people.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Timeout => "no answer within the time and tries allowed",
            Self::Deadline => "the scrape's time was up before everything was answered",
            Self::IcmpRefused => "nothing listens on the port (ICMP port unreachable)",
            Self::IcmpUnreachable => "the target cannot be reached (ICMP)",
            Self::Dns => "the name has no address",
            Self::Send => "the message could not be sent",
            Self::UnknownUser => "the target does not know the user",
            Self::WrongDigest => "the target refused the digest: wrong password or auth_protocol",
            Self::BadReplyDigest => "an answer came with a wrong digest",
            Self::Decrypt => "decryption failed: wrong priv_password or priv_protocol",
            Self::NotInWindow => "the target's clock could not be followed",
            Self::UnknownEngine => "the target keeps naming another engine",
            Self::SecurityLevel => "the user may not use this security level",
            Self::UnknownContext => "the target has no such context",
            Self::TooBig => "one value alone does not fit a message",
            Self::GenErr => "the target reports an internal failure (genErr)",
            Self::Authorization => "the target denies access",
            Self::ErrorStatus => "the target reports an error status",
            Self::NonIncreasing => "the target answers with identifiers that do not increase",
            Self::Decode => "an answer could not be read",
            Self::BadAnswer => "an answer does not hold what was asked for",
            Self::TooLarge => "the answers are larger than may be kept",
            Self::Duplicate => "two series have the same labels",
            Self::BadType => "a value has a type that does not fit its metric",
            Self::Inconsistent => "metrics of one name differ in help, type or labels",
            Self::Configuration => "the configuration does not allow this",
            Self::NotAllowed => {
                "the target may not be asked with these credentials: see --inventory.source, --snmp.targets and only_for"
            }
        }
    }
}
