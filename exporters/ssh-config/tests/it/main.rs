//! The program with devices of the farm.

#![allow(clippy::unwrap_used, reason = "tests")]

mod bounds;
mod canaries;
mod collecting;
mod fleet;
mod golden;
mod record;
mod routes;
mod webhook;
mod world;
