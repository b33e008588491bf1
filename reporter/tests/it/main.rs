//! The real program, with a real Prometheus that has a history and a real mail server.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod bounds;
mod conforms;
mod copies;
mod crash;
mod golden;
mod madeup;
mod mails;
mod minutes;
mod month;
mod oracle;
mod parts;
mod postfix;
mod service;
mod smtp;
mod sources;
mod support;
