//! `sotp-mqtt`: readings of sensors from MQTT brokers.

fn main() -> std::process::ExitCode {
    sotp_mqtt::commands::early().unwrap_or_else(toolkit::main::<sotp_mqtt::Service>)
}
