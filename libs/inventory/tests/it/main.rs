//! Inventories from files and over HTTP: read, held to their rules, changed, followed.
#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

mod edit;
mod feed;
mod files;
mod fixtures;
mod inherit;
mod properties;
mod sd;
