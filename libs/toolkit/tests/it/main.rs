//! The library as programs use it, and the echo example as a process.
#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

mod access;
mod certificates;
mod life;
mod limits;
mod support;
mod tls;
mod traces;
mod vault;
mod web;
mod web_config;
