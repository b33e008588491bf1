//! `sotp-mqtt`: readings of sensors from MQTT brokers.

fn main() -> std::process::ExitCode {
    toolkit::main::<sotp_mqtt::Service>()
}
