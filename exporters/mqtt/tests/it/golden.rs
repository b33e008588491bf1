//! What users meet of the service, held to the files in `tests/golden`.

use testkit::Golden;

use crate::support::{self, BINARY, Broker};

fn golden() -> Golden {
    Golden::new(BINARY, env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_command_line_is_that_of_the_golden_files() {
    golden().command_line();
}

/// With something of every family of the rules that come along.
#[tokio::test]
async fn the_series_are_those_of_the_golden_file() {
    let broker = Broker::start("allow_anonymous true").await;
    let place = support::at(&broker, "").await;
    place.subscribed(&broker).await;
    broker.publish(
        "tele/rack-1/SENSOR",
        r#"{"BME280":{"Temperature":23.5,"Humidity":45,"DewPoint":9,"Pressure":1000,"Illuminance":5},"ENERGY":{"Total":1,"Power":2,"Voltage":230,"Current":0.1},"PressureUnit":"hPa","TempUnit":"C"}"#,
        &[],
    );
    broker.publish("tele/rack-1/STATE", r#"{"POWER":"ON"}"#, &[]);
    broker.publish("tele/rack-1/LWT", "Online", &[]);
    broker.publish(
        "zigbee2mqtt/other",
        r#"{"co2":600,"battery":90,"contact":true,"occupancy":false,"water_leak":false,"linkquality":9}"#,
        &[],
    );
    let page = async || Ok(place.process.get("/metrics").await?.1);
    let needed = [
        "mqtt_temperature_celsius{device=\"r1\",site=\"lab\",role=\"router\",sensor=\"rack-1\",part=\"BME280\"} 23.5",
        "mqtt_switch_on{",
        "mqtt_sensor_up{",
        "mqtt_water_leak{",
        "mqtt_device_last_message_timestamp_seconds{device=\"r1\"",
    ];
    golden()
        .metrics("metrics.txt", &needed, page)
        .await
        .unwrap();
}
