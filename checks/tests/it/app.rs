//! The app plugin in a real browser, against the real inventory service, through the Grafana for tests.

mod devices;
mod routes;
mod screen;
