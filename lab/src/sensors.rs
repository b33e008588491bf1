//! The sensors of a lab: temperatures that go up and down, published as Tasmota's firmware does, with a last will.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use rumqttc::{AsyncClient, Event, LastWill, MqttOptions, Packet, QoS};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};

/// From one reading to the next.
const PERIOD: Duration = Duration::from_secs(1);
/// Pause before another attempt at the broker.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a broker may take for one reading.
const PATIENCE: Duration = Duration::from_secs(5);
/// The second probe of a sensor.
pub(crate) const PROBE: &str = "BME280";
/// A temperature is at its highest once in this time.
const SWING: f64 = 600.0;

/// Flags of `sotp-lab sensors`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The broker.
    broker: SocketAddr,
    /// The sensors, each the level of its topics.
    #[arg(required = true)]
    names: Vec<String>,
}

/// Publishes until the process is ended.
///
/// # Errors
/// Threads cannot be had.
pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut sensors = JoinSet::new();
        for (index, name) in args.names.into_iter().enumerate() {
            sensors.spawn(sensor(args.broker, name, index));
        }
        while let Some(ended) = sensors.join_next().await {
            ended?;
        }
        Ok(())
    })
}

/// Publishes one reading of a sensor's second probe, and returns when the broker has it.
///
/// # Errors
/// The broker does not take it within five seconds.
pub(crate) async fn once(broker: SocketAddr, name: &str, celsius: f64) -> anyhow::Result<()> {
    let options = MqttOptions::new(
        format!("{name}-probe"),
        broker.ip().to_string(),
        broker.port(),
    );
    let (client, mut events) = AsyncClient::new(options, 8);
    client.try_publish(
        format!("tele/{name}/SENSOR"),
        QoS::AtLeastOnce,
        false,
        payload(PROBE, celsius),
    )?;
    let taken = async {
        loop {
            if let Event::Incoming(Packet::PubAck(_)) = events.poll().await? {
                return anyhow::Ok(());
            }
        }
    };
    timeout(PATIENCE, taken)
        .await
        .context("the broker does not take it")?
}

async fn sensor(broker: SocketAddr, name: String, index: usize) {
    let will = format!("tele/{name}/LWT");
    let mut options = MqttOptions::new(&name, broker.ip().to_string(), broker.port());
    options.set_last_will(LastWill::new(&will, "Offline", QoS::AtLeastOnce, true));
    let (client, mut events) = AsyncClient::new(options, 8);
    let said = async {
        let began = Instant::now();
        let mut due = interval(PERIOD);
        loop {
            due.tick().await;
            let celsius = celsius(index, began.elapsed().as_secs_f64());
            // While there is no broker, readings of the past are of no use to anybody.
            let _ = client.try_publish(
                format!("tele/{name}/SENSOR"),
                QoS::AtMostOnce,
                false,
                payload("DS18B20", celsius),
            );
        }
    };
    let heard = async {
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    let _ = client.try_publish(&will, QoS::AtLeastOnce, true, "Online");
                }
                Ok(_) => {}
                Err(_) => sleep(PAUSE).await,
            }
        }
    };
    tokio::join!(said, heard);
}

/// Between 20 and 28 degrees, each sensor at its own place of the swing.
fn celsius(index: usize, seconds: f64) -> f64 {
    let turn = seconds / SWING + index as f64 / 7.0;
    24.0 + 4.0 * (turn * std::f64::consts::TAU).sin()
}

fn payload(part: &str, celsius: f64) -> String {
    format!(r#"{{"{part}":{{"Temperature":{celsius:.1}}},"TempUnit":"C"}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_one_that_tasmota_could_send() {
        for second in 0..1_000_u32 {
            let celsius = celsius(3, f64::from(second));
            assert!((20.0..=28.0).contains(&celsius), "{celsius}");
        }
        let json: serde_json::Value = serde_json::from_str(&payload("DS18B20", 23.456)).unwrap();
        assert_eq!(json["DS18B20"]["Temperature"], 23.5);
        assert_eq!(json["TempUnit"], "C");
    }
}
