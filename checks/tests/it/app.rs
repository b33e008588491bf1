//! The app plugin in a real browser, against the real services and a real router, through the Grafana for tests.

mod acting;
mod approvals;
mod configuration;
mod console;
mod devices;
mod records;
mod routes;
mod screen;
