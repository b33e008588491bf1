//! Values to samples, with the text snmp_exporter gives.
//!
//! Labels are the same for every column of a table, so they are rendered once per row and shape (indexes and lookups),
//! not once per sample.

pub mod hint;
pub mod index;
mod labels;
mod sample;
mod started;
pub mod text;
pub mod time;

pub use labels::Shape;
pub use sample::{Family, Fault, Plan, Rendered, Scope, Style, View, render};
pub use started::{OF_INTERFACES, Started};
