//! A sensor says a temperature, which stands beside the processor of the router whose rack it hangs in.

use anyhow::Context;
use serde_json::Value;

use crate::demo::story::{Play, Step, nothing};
use crate::sensors;

const ROUTER: &str = "r1";
const CELSIUS: f64 = 31.5;

pub(super) const STEP: Step = Step {
    name: "sensor",
    what: "a sensor says a temperature over MQTT, which stands beside the processor of its router",
    bound: 15,
    play: |play| Box::pin(sensor(play)),
    undo: nothing,
};

async fn sensor(play: &mut Play<'_>) -> anyhow::Result<()> {
    let stage = play.stage;
    let (name, part) = (format!("rack-{ROUTER}"), sensors::PROBE);
    let broker = stage.url("mosquitto");
    let broker = broker.trim_start_matches("http://").parse()?;
    play.until_query(
        "sotp-mqtt listens to the broker",
        "mqtt_messages_total{result=\"taken\"} > 0",
    )
    .await?;

    play.trigger("the sensor beside r1 publishes 31.5 degrees");
    sensors::once(broker, &name, CELSIUS).await?;
    let temperature = format!(
        "mqtt_temperature_celsius{{device=\"{ROUTER}\",sensor=\"{name}\",part=\"{part}\"}} == {CELSIUS}"
    );
    play.until_query("Prometheus has the temperature", &temperature)
        .await?;
    let beside = format!(
        "label_replace(max by (device) ({temperature}), \"what\", \"temperature\", \"\", \"\") \
         or label_replace(max by (device) (sotp_device_cpu_ratio{{device=\"{ROUTER}\"}}), \"what\", \"cpu\", \"\", \"\")"
    );
    let both = |result: &Value| result.as_array().is_some_and(|result| result.len() == 2);
    let ask = async || stage.query(&beside).await;
    let what = "temperature and processor of the router stand side by side";
    let answer = play.until_answer(what, &beside, ask, both).await?;
    let cpu = answer
        .as_array()
        .and_then(|all| all.iter().find(|one| one["metric"]["what"] == "cpu"))
        .and_then(|one| one["value"][1].as_str()?.parse::<f64>().ok())
        .context("the answer has no processor")?;
    anyhow::ensure!((0.0..=1.0).contains(&cpu), "the processor is {cpu} busy");
    Ok(())
}
