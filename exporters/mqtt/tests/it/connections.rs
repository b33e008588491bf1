//! Brokers that come and go, and who may listen to them.

use std::process::Command;

use testkit::TempDir;

use crate::support::{self, Broker, DEVICES, write};

#[tokio::test]
async fn a_broker_that_went_away_is_found_again_and_its_states_are_not_kept_meanwhile() {
    let mut broker = Broker::start("allow_anonymous true").await;
    let place = support::at(&broker, "").await;
    place.subscribed(&broker).await;
    broker.publish("tele/rack-1/LWT", "Online", &[]);
    place
        .becomes("mqtt_sensor_up", &[("device", "r1")], Some(1.0))
        .await;
    broker.stop();
    let samples = place
        .becomes("mqtt_connected", &[("broker", "main")], Some(0.0))
        .await;
    assert_eq!(samples.value("mqtt_sensor_up", &[]), None);
    // A reading stays until it is stale: it was true when it was said.
    assert_eq!(
        samples.value("mqtt_link_quality", &[("sensor", "asked")]),
        Some(1.0)
    );
    broker.run().await;
    let samples = place
        .becomes("mqtt_connected", &[("broker", "main")], Some(1.0))
        .await;
    assert_eq!(samples.value("mqtt_connections_total", &[]), Some(2.0));
    assert!(samples.sum("mqtt_connection_failures_total", &[]) >= 1.0);
    broker.publish("tele/rack-1/LWT", "Offline", &["-r"]);
    place
        .becomes("mqtt_sensor_up", &[("device", "r1")], Some(0.0))
        .await;
}

#[tokio::test]
async fn mqtt_3_1_1_and_every_quality_of_service_work() {
    let broker = Broker::start("allow_anonymous true").await;
    for (protocol, qos) in [("3.1.1", 0), ("3.1.1", 2), ("5", 1), ("5", 2)] {
        let config = format!(
            "brokers: [{{name: main, url: 'mqtt://127.0.0.1:{}', protocol: '{protocol}', qos: {qos}}}]\n",
            broker.port
        );
        let place = support::start(DEVICES, &config).await;
        place.becomes("mqtt_connected", &[], Some(1.0)).await;
        testkit::eventually(support::SOON, || async {
            broker.publish(
                "zigbee2mqtt/asked",
                r#"{"linkquality":7}"#,
                &["-q", &qos.to_string()],
            );
            let found = place
                .process
                .scrape()
                .await?
                .value("mqtt_link_quality", &[]);
            anyhow::ensure!(found == Some(7.0), "{protocol} {qos}: {found:?}");
            Ok(())
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn a_password_is_read_from_its_file_again_when_the_broker_refused_it() {
    let files = TempDir::new().unwrap();
    let passwords = files.join("passwords");
    let made = Command::new("mosquitto_passwd")
        .args(["-b", "-c"])
        .arg(&passwords)
        .args(["listener", "right"])
        .output();
    assert!(made.expect("Debian's mosquitto").status.success());
    let broker = Broker::with(files, "allow_anonymous false\npassword_file DIR/passwords").await;
    let secrets = TempDir::new().unwrap();
    write(&secrets, "password", "hunter2\n");
    let config = format!(
        "brokers: [{{name: main, url: 'mqtt://127.0.0.1:{}', username: listener, password_file: '{}'}}]\n",
        broker.port,
        secrets.join("password").display()
    );
    let place = support::start(DEVICES, &config).await;
    testkit::eventually(support::SOON, || async {
        let refused = place
            .process
            .scrape()
            .await?
            .value("mqtt_connection_failures_total", &[("reason", "refused")]);
        anyhow::ensure!(refused >= Some(1.0), "{refused:?}");
        Ok(())
    })
    .await
    .unwrap();
    write(&secrets, "password", "right\n");
    place.becomes("mqtt_connected", &[], Some(1.0)).await;
    let (_, shown) = place.process.get("/config").await.unwrap();
    for text in [shown, place.process.log()] {
        assert!(
            !text.contains("hunter2") && !text.contains("right"),
            "{text}"
        );
    }
}

fn certificates(files: &TempDir) {
    let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
    // A name of its own: certificates that are called like their issuer are taken for their own.
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "authority of the test");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let ca = params.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(params, key);
    write(files, "ca.pem", &ca.pem());
    for name in ["127.0.0.1", "client"] {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        let signed = params.signed_by(&key, &issuer).unwrap();
        write(files, &format!("{name}.pem"), &signed.pem());
        write(files, &format!("{name}.key"), &key.serialize_pem());
    }
}

#[tokio::test]
async fn tls_proves_both_sides_and_a_stranger_gets_no_connection() {
    let files = TempDir::new().unwrap();
    certificates(&files);
    let own = files.path().display().to_string();
    let broker = Broker::with(
        files,
        "allow_anonymous true\ncafile DIR/ca.pem\ncertfile DIR/127.0.0.1.pem\nkeyfile DIR/127.0.0.1.key\nrequire_certificate true",
    )
    .await;
    let url = format!("mqtts://127.0.0.1:{}", broker.port);
    let good = format!(
        "brokers: [{{name: main, url: '{url}', ca_file: '{own}/ca.pem', cert_file: '{own}/client.pem', key_file: '{own}/client.key'}}]"
    );
    let place = support::start(DEVICES, &good).await;
    place.becomes("mqtt_connected", &[], Some(1.0)).await;

    let strangers = TempDir::new().unwrap();
    certificates(&strangers);
    let other = strangers.path().display().to_string();
    // A broker that cannot prove itself, and a client that cannot.
    for file in ["ca", "client"] {
        let wrong = good.replace(&format!("{own}/{file}."), &format!("{other}/{file}."));
        refused_by_tls(&wrong).await;
    }
}

async fn refused_by_tls(config: &str) {
    let place = support::start(DEVICES, config).await;
    testkit::eventually(support::SOON, || async {
        let samples = place.process.scrape().await?;
        let tls = samples.value("mqtt_connection_failures_total", &[("reason", "tls")]);
        anyhow::ensure!(tls >= Some(1.0), "{}", place.process.log());
        anyhow::ensure!(samples.value("mqtt_connections_total", &[]) == Some(0.0));
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_broker_that_starts_again_loses_no_message_of_quality_1() {
    let mut broker = Broker::start(
        "allow_anonymous true\npersistence true\npersistence_location DIR/\nmax_queued_messages 2000",
    )
    .await;
    let config = format!(
        "brokers: [{{name: main, url: 'mqtt://127.0.0.1:{}', qos: 1, client_id: watcher, session: 5m}}]\n",
        broker.port
    );
    let place = support::start(DEVICES, &config).await;
    place.subscribed(&broker).await;
    let before = place.process.scrape().await.unwrap();
    let taken = |samples: &testkit::Samples| samples.sum("mqtt_messages_total", &[]);
    // While it is stopped nothing is acknowledged, and what is published waits at the broker, which then ends and keeps it on its disk.
    let pid = nix::unistd::Pid::from_raw(place.process.pid().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
    let lines: String = (0..300)
        .map(|n| format!("{{\"linkquality\":{n}}}\n"))
        .collect();
    broker.publish_lines("zigbee2mqtt/counted", &lines, &["-q", "1"]);
    broker.end().await;
    broker.run().await;
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGCONT).unwrap();
    let samples = place
        .becomes("mqtt_link_quality", &[("sensor", "counted")], Some(299.0))
        .await;
    // At least once: those that were under way at the end come again.
    let come = taken(&samples) - taken(&before);
    assert!(
        (300.0..=400.0).contains(&come),
        "{come}\n{}",
        place.process.log()
    );
    assert_eq!(samples.value("mqtt_connections_total", &[]), Some(2.0));
}

#[tokio::test]
async fn each_message_of_a_shared_subscription_goes_to_one_of_the_group() {
    let broker = Broker::start("allow_anonymous true").await;
    let config = format!(
        "brokers: [{{name: main, url: 'mqtt://127.0.0.1:{}', qos: 1, share: watchers}}]\n",
        broker.port
    );
    let places = [
        support::start(DEVICES, &config).await,
        support::start(DEVICES, &config).await,
    ];
    // Both have the subscription as soon as each has had something.
    testkit::eventually(support::SOON, || async {
        broker.publish("zigbee2mqtt/asked", r#"{"linkquality":1}"#, &["-q", "1"]);
        for place in &places {
            let had = place
                .process
                .scrape()
                .await?
                .sum("mqtt_messages_total", &[]);
            anyhow::ensure!(had > 0.0);
        }
        Ok(())
    })
    .await
    .unwrap();
    let counted = async || {
        let mut sum = 0.0;
        for place in &places {
            let samples = place.process.scrape().await.unwrap();
            sum += samples.sum("mqtt_messages_total", &[]);
        }
        sum
    };
    let lines = "{\"linkquality\":7}\n".repeat(40);
    let before = counted().await;
    broker.publish_lines("zigbee2mqtt/shared", &lines, &["-q", "1"]);
    testkit::eventually(support::SOON, || async {
        let come = counted().await - before;
        // Some of those before may come after they were counted; had both the messages, there would be 80 more.
        anyhow::ensure!((40.0..=60.0).contains(&come), "{come}");
        Ok(())
    })
    .await
    .unwrap();
}
