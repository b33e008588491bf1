//! The real program, with real senders and a real collector beside it.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod broker;
mod golden;
mod replay;
mod restart;
mod senders;
mod sinks;
mod support;
