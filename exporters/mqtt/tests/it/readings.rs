//! What sensors say, as series.

use std::fmt::Write as _;

use crate::support::{self, Broker, write};

const ANY: &str = "allow_anonymous true";

fn temperature(celsius: f64) -> String {
    format!(r#"{{"DS18B20":{{"Temperature":{celsius}}},"TempUnit":"C"}}"#)
}

#[tokio::test]
async fn a_temperature_stands_beside_the_router_that_the_inventory_names() {
    let broker = Broker::start(ANY).await;
    let place = support::at(&broker, "").await;
    place.subscribed(&broker).await;
    broker.publish("tele/rack-1/SENSOR", &temperature(23.5), &[]);
    let labels = [
        ("device", "r1"),
        ("site", "lab"),
        ("role", "router"),
        ("sensor", "rack-1"),
        ("part", "DS18B20"),
    ];
    let samples = place
        .becomes("mqtt_temperature_celsius", &labels, Some(23.5))
        .await;
    assert_eq!(
        samples.value("mqtt_device_messages_total", &[("device", "r1")]),
        Some(1.0)
    );
    // A device that has said nothing has a count, and no time.
    assert_eq!(
        samples.value("mqtt_device_messages_total", &[("device", "quiet")]),
        Some(0.0)
    );
    assert_eq!(
        samples.value(
            "mqtt_device_last_message_timestamp_seconds",
            &[("device", "quiet")]
        ),
        None
    );

    // The sensor is moved to another device, and nothing of it stays behind.
    let moved = support::DEVICES
        .replace("['tele/rack-1/+']", "['tele/other/+']")
        .replace("[zigbee2mqtt/quiet]", "['tele/#']");
    write(&place.files, "inventory.yaml", &moved);
    let samples = place
        .becomes(
            "mqtt_temperature_celsius",
            &[("device", "quiet"), ("sensor", "rack-1")],
            Some(23.5),
        )
        .await;
    assert_eq!(
        samples.value("mqtt_temperature_celsius", &[("device", "r1")]),
        None
    );
}

#[tokio::test]
async fn own_rules_take_bare_numbers_and_labels_from_the_topic() {
    let broker = Broker::start(ANY).await;
    let rules = "\
metrics: {building_temperature_celsius: {help: Temperature of a room.}}
rules: [{topic: 'building/{floor}/{sensor}/temperature', values: [{metric: building_temperature_celsius, divide: 10}]}]
examples: [{topic: building/7/hall/temperature, payload: '215', samples: ['building_temperature_celsius{floor=\"7\",sensor=\"hall\"} 21.5']}]
";
    let place = support::at(&broker, "").await;
    place.subscribed(&broker).await;
    write(&place.files, "own.yaml", rules);
    let config = format!(
        "brokers: [{{name: main, url: 'mqtt://127.0.0.1:{}'}}]\nrules: []\nrule_files: [own.yaml]\n",
        broker.port
    );
    write(&place.files, "mqtt.yaml", &config);
    let (status, body) = place.process.post("/-/reload", "").await.unwrap();
    assert_eq!(status, 200, "{body}");
    testkit::eventually(support::SOON, || async {
        broker.publish("building/7/hall/temperature", "226", &[]);
        let found = place.process.scrape().await?.value(
            "building_temperature_celsius",
            &[("floor", "7"), ("sensor", "hall"), ("device", "")],
        );
        anyhow::ensure!(found == Some(22.6), "{found:?}");
        Ok(())
    })
    .await
    .unwrap();
    // What only the old rules wrote is gone.
    place.becomes("mqtt_link_quality", &[], None).await;

    // A rule that does not hold its example leaves the good ones running.
    write(
        &place.files,
        "own.yaml",
        &rules.replace("divide: 10", "divide: 100"),
    );
    let (status, body) = place.process.post("/-/reload", "").await.unwrap();
    assert_eq!(status, 500);
    assert!(body.contains("own.yaml:3:12: examples[0]: the example gives [building_temperature_celsius{floor=\"7\",sensor=\"hall\"} 2.15]"), "{body}");
    place
        .becomes("building_temperature_celsius", &[], Some(22.6))
        .await;
}

/// Waits two seconds for readings that are to become stale.
#[tokio::test]
async fn a_sensor_that_says_nothing_more_disappears() {
    let broker = Broker::start(ANY).await;
    let place = support::at(&broker, "stale_after: 2s").await;
    place.subscribed(&broker).await;
    broker.publish("tele/rack-1/SENSOR", &temperature(23.5), &[]);
    place
        .becomes("mqtt_temperature_celsius", &[("device", "r1")], Some(23.5))
        .await;
    let samples = place
        .becomes("mqtt_temperature_celsius", &[("device", "r1")], None)
        .await;
    assert_eq!(
        samples.value("mqtt_device_messages_total", &[("device", "r1")]),
        Some(1.0)
    );
    assert!(
        samples
            .value(
                "mqtt_device_last_message_timestamp_seconds",
                &[("device", "r1")]
            )
            .unwrap()
            > 1.7e9
    );
}

#[tokio::test]
async fn what_the_broker_had_kept_is_no_reading_of_now() {
    let broker = Broker::start(ANY).await;
    broker.publish("tele/rack-1/SENSOR", &temperature(5.0), &["-r"]);
    broker.publish("tele/rack-1/LWT", "Offline", &["-r"]);
    let place = support::at(&broker, "").await;
    place
        .becomes("mqtt_sensor_up", &[("device", "r1")], Some(0.0))
        .await;
    let samples = place
        .becomes("mqtt_messages_total", &[("result", "retained")], Some(1.0))
        .await;
    assert_eq!(samples.value("mqtt_temperature_celsius", &[]), None);
    assert_eq!(
        samples.value("mqtt_device_messages_total", &[("device", "r1")]),
        Some(0.0)
    );
    let place = support::at(&broker, "retained: true").await;
    place
        .becomes("mqtt_temperature_celsius", &[("device", "r1")], Some(5.0))
        .await;
}

#[tokio::test]
async fn hostile_messages_are_counted_and_cost_nobody_else() {
    let broker = Broker::start(ANY).await;
    let place = support::at(&broker, "limits: {unknown_series: 20}").await;
    place.subscribed(&broker).await;
    // More than a packet may have: with MQTT 5 the broker keeps it back.
    std::fs::write(broker.files.join("huge"), "9".repeat(2_000_000)).unwrap();
    let huge = broker.files.join("huge").display().to_string();
    let port = broker.port.to_string();
    let sent = std::process::Command::new("mosquitto_pub")
        .args([
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-t",
            "zigbee2mqtt/huge",
            "-f",
            &huge,
        ])
        .status()
        .unwrap();
    assert!(sent.success());
    broker.publish("zigbee2mqtt/long", &"9".repeat(100_000), &[]);
    broker.publish("zigbee2mqtt/cut", "{\"temperature\":", &[]);
    broker.publish("zigbee2mqtt/text", r#"{"temperature":"warm"}"#, &[]);
    // A flood of invented sensors, one line a message.
    let mut lines = String::new();
    for number in 0..300 {
        writeln!(
            lines,
            r#"{{"a{number}":{{"Temperature":{number}}},"TempUnit":"C"}}"#
        )
        .unwrap();
    }
    std::fs::write(broker.files.join("flood"), lines).unwrap();
    let flood = std::fs::File::open(broker.files.join("flood")).unwrap();
    let sent = std::process::Command::new("mosquitto_pub")
        .args([
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-t",
            "tele/invented/SENSOR",
            "-l",
        ])
        .stdin(flood)
        .status()
        .unwrap();
    assert!(sent.success());
    let samples = place
        .becomes(
            "mqtt_refused_values_total",
            &[("reason", "budget")],
            Some(281.0),
        )
        .await;
    for (result, count) in [("oversized", 1.0), ("malformed", 1.0), ("refused", 282.0)] {
        assert_eq!(
            samples.value("mqtt_messages_total", &[("result", result)]),
            Some(count),
            "{result}"
        );
    }
    assert_eq!(
        samples.value("mqtt_series", &[("devices", "unknown")]),
        Some(20.0)
    );
    // The sensor of a device has its room all the same, over the connection that never ended.
    broker.publish("tele/rack-1/SENSOR", &temperature(23.5), &[]);
    let samples = place
        .becomes("mqtt_temperature_celsius", &[("device", "r1")], Some(23.5))
        .await;
    assert_eq!(samples.value("mqtt_connections_total", &[]), Some(1.0));
    assert!(place.process.log().contains("no room for another series"));
}

#[tokio::test]
async fn entities_of_home_assistant_are_read_as_they_announce_themselves() {
    let broker = Broker::start(ANY).await;
    let config = |object: &str, more: &str| {
        format!(
            r#"{{"stat_t":"rack-3/{object}","unit_of_meas":"°C","dev_cla":"temperature","avty_t":"rack-3/status","dev":{{"name":"rack-3"}}{more}}}"#
        )
    };
    // What was announced before it connects, and what is announced later.
    broker.publish(
        "homeassistant/sensor/rack-3/inlet/config",
        &config("inlet", ""),
        &["-r"],
    );
    broker.publish("rack-3/status", "online", &["-r"]);
    let place = support::at(&broker, "rules: [homeassistant]").await;
    let labels = [("sensor", "rack-3"), ("device", "")];
    place.becomes("mqtt_sensor_up", &labels, Some(1.0)).await;
    broker.publish("rack-3/inlet", "21.5", &[]);
    let inlet = [("sensor", "rack-3"), ("part", "inlet")];
    place
        .becomes("mqtt_temperature_celsius", &inlet, Some(21.5))
        .await;
    let outlet = config("outlet", r#","val_tpl":"{{ value_json.t | float }}""#);
    broker.publish(
        "homeassistant/sensor/rack-3/outlet/config",
        &outlet,
        &["-r"],
    );
    place
        .becomes("mqtt_announced_entities", &[], Some(2.0))
        .await;
    testkit::eventually(support::SOON, || async {
        broker.publish("rack-3/outlet", r#"{"t":"31"}"#, &[]);
        let outlet = [("sensor", "rack-3"), ("part", "outlet")];
        let found = place
            .process
            .scrape()
            .await?
            .value("mqtt_temperature_celsius", &outlet);
        anyhow::ensure!(found == Some(31.0), "{found:?}");
        Ok(())
    })
    .await
    .unwrap();
    // A template that computes is not run.
    let program = config("hot", r#","val_tpl":"{{ value | float * 2 }}""#);
    broker.publish("homeassistant/sensor/rack-3/hot/config", &program, &["-r"]);
    place
        .becomes("mqtt_messages_total", &[("result", "no_value")], Some(1.0))
        .await;
    broker.publish("rack-3/status", "offline", &[]);
    place.becomes("mqtt_sensor_up", &labels, Some(0.0)).await;
    // Gone as soon as the announcement is taken back.
    broker.publish("homeassistant/sensor/rack-3/outlet/config", "", &["-r"]);
    place
        .becomes("mqtt_announced_entities", &[], Some(1.0))
        .await;
}

#[tokio::test]
async fn a_flood_of_kept_messages_is_counted_and_shows_nothing() {
    let broker = Broker::start(ANY).await;
    let payload = || r#"{"temperature":5}"#.to_owned();
    broker.keep((0..400).map(|number| (format!("zigbee2mqtt/kept{number}"), payload())));
    let place = support::at(&broker, "limits: {unknown_series: 20}").await;
    let samples = place
        .becomes(
            "mqtt_messages_total",
            &[("result", "retained")],
            Some(400.0),
        )
        .await;
    assert_eq!(samples.value("mqtt_temperature_celsius", &[]), None);
    assert_eq!(
        samples.value("mqtt_series", &[("devices", "unknown")]),
        Some(0.0)
    );
    // Taken where it is wanted, they find no more room than there is, and who found none is named.
    let place = support::at(&broker, "limits: {unknown_series: 20}\nretained: true").await;
    let budget = [("reason", "budget")];
    let samples = place
        .becomes("mqtt_refused_values_total", &budget, Some(380.0))
        .await;
    assert_eq!(
        samples.value("mqtt_series", &[("devices", "unknown")]),
        Some(20.0)
    );
    assert_eq!(samples.sum("mqtt_over_budget_values_total", &[]), 380.0);
    let other = [("topic", "other")];
    assert_eq!(
        samples.value("mqtt_over_budget_values_total", &other),
        Some(360.0)
    );
}

#[tokio::test]
async fn discover_writes_rules_that_then_take_what_was_heard() {
    let broker = Broker::start(ANY).await;
    broker.publish("hall/north/climate", r#"{"t":21.5,"id":"a"}"#, &["-r"]);
    broker.publish("hall/south/climate", r#"{"t":19,"id":"b"}"#, &["-r"]);
    broker.publish("hall/door", "open", &["-r"]);
    broker.publish("zigbee2mqtt/rack", r#"{"temperature":5}"#, &["-r"]);
    let config = format!(
        "brokers: [{{name: main, url: 'mqtt://127.0.0.1:{}'}}]\n",
        broker.port
    );
    let file = broker.files.write("once.yaml", &config).unwrap();
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(support::BINARY);
        command.arg("discover").args(args).arg("--config.file");
        command.arg(&file).output().unwrap()
    };
    let heard = "note: 4 messages of 3 topics were heard; 1 messages are taken";
    // As long as this machine needs for it.
    let output = ["1s", "5s", "20s", "60s"]
        .into_iter()
        .map(|time| run(&["--for", time]))
        .find(|output| String::from_utf8_lossy(&output.stderr).contains(heard))
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("note: no number in hall/door"), "{said}");
    broker.files.write("found.yaml", &output.stdout).unwrap();
    let found = broker.files.join("found.yaml");
    let more = format!(
        "rules: []\nretained: true\nrule_files: ['{}']",
        found.display()
    );
    let place = support::at(&broker, &more).await;
    let south = [("sensor", "south")];
    place.becomes("mqtt_t", &south, Some(19.0)).await;

    let output = run(&["--for", "1s", "--topics", "a/#/b"]);
    assert!(!output.status.success());
}
