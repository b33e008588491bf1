//! Who calls, what they may, and what stays of it: identity, roles, the way of an accepted write, and the audit chain.
//!
//! A service that can be told to change something reads a [`caller::AccessConfig`] with its configuration, opens an [`audit::Audit`],
//! and gives each request that writes to an [`edit::EditService`], with a closure that says what it comes to. Its calls stand in one table, from
//! which [`openapi`] makes the router and the document.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod action;
pub mod audit;
pub mod caller;
pub mod edit;
pub mod openapi;
mod problem;
mod refusal;
pub mod trail;

pub use problem::Problem;
pub use refusal::{FieldError, Refusal, field_error};
