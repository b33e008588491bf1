//! The checks, on what the repository holds and on bad examples.
#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

mod alerts;
mod app;
mod audit;
mod backup;
mod canaries;
mod certificates;
mod circles;
mod cloud;
mod cloudwatch;
mod cluster;
mod conventions;
mod dashboards;
mod deployments;
mod devcontainer;
mod docs;

mod doctor;
mod gate;
mod gitops;
mod inventory;
mod lab;
mod limits;
mod manifests;
mod mosquitto;
mod packages;
mod panels;
mod paths;
mod ports;
mod retention;
mod rolling;
mod rum;
mod runner;
mod series;
mod started;
mod strangers;
mod table;
mod triangle;
mod upgrades;
mod workflows;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The machine for one test with a lab at a time: they measure how soon something is seen.
fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}
mod wrong_files;
