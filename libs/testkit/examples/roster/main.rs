//! `roster`: how small a new exporter is. It follows the devices of the inventory, answers `/metrics`, and writes a line to Loki for each
//! device that comes or goes.

mod app;
mod config;
mod flags;
mod roll;

fn main() -> std::process::ExitCode {
    toolkit::main::<app::Service>()
}
