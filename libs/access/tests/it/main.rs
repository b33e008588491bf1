//! What a service sees of this library.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod callers;
mod edits;
