//! The lab, its stack and its demo, as a user starts them.
#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

mod compose;

mod demo;
mod help;
mod net;
mod network;
mod processes;
mod programs;
mod stack;
mod story;
