//! The broker of the component `mqtt`, as it is configured there, run by Debian's Mosquitto on loopback.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sotp_checks::{root, tools};
use testkit::TempDir;

struct Broker(Child);

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A string as MQTT 3.1.1 writes it (1.5.3).
fn string(text: &str) -> Vec<u8> {
    let mut bytes = u16::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

fn send(stream: &mut TcpStream, kind: u8, body: &[u8]) {
    let mut packet = vec![kind, u8::try_from(body.len()).unwrap()];
    packet.extend(body);
    stream.write_all(&packet).unwrap();
}

/// The next packet: its first byte and its body.
fn receive(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    let mut body = vec![0; usize::from(head[1])];
    stream.read_exact(&mut body).unwrap();
    (head[0], body)
}

/// Connects as `user` and gives the stream with the code of the answer (3.2.2.3).
fn connect(port: u16, name: &str, user: Option<(&str, &str)>) -> (TcpStream, u8) {
    let end = Instant::now() + Duration::from_secs(30);
    let mut stream = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let mut body = string("MQTT");
    body.extend([4, if user.is_some() { 0xC2 } else { 2 }, 0, 60]);
    body.extend(string(name));
    for text in user.iter().flat_map(|(user, password)| [user, password]) {
        body.extend(string(text));
    }
    send(&mut stream, 0x10, &body);
    let (kind, body) = receive(&mut stream);
    assert_eq!(kind, 0x20);
    (stream, body[1])
}

fn publish(stream: &mut TcpStream, topic: &str, text: &str) {
    let mut body = string(topic);
    body.extend(text.as_bytes());
    send(stream, 0x30, &body);
}

#[test]
fn sensors_need_a_password_and_whoever_reads_cannot_write() {
    // Debian has it where only root looks.
    let program = ["/usr/sbin/mosquitto", "/usr/bin/mosquitto"]
        .into_iter()
        .find(|path| std::path::Path::new(path).is_file());
    let Some(program) = program.filter(|_| tools::on_path("mosquitto_passwd")) else {
        testkit::skip(format_args!("no mosquitto"));
        return;
    };
    let folder = TempDir::new().unwrap();
    let component = root().join("kustomize/components/mqtt");
    let [sensors, readers]: [u16; 2] = crate::ports::free();
    let text = std::fs::read_to_string(component.join("mosquitto.conf")).unwrap();
    let local = text
        .replace(
            "listener 1883\n",
            &format!("listener {sensors} 127.0.0.1\n"),
        )
        .replace(
            "listener 1884\n",
            &format!("listener {readers} 127.0.0.1\n"),
        )
        .replace("/run/mosquitto/", &format!("{}/", folder.path().display()))
        .replace("/etc/mosquitto/", &format!("{}/", component.display()));
    // It gives up being root, and must still read what lies here.
    let local = format!("user root\n{local}");
    let (config, passwords) = (folder.join("mosquitto.conf"), folder.join("passwords"));
    std::fs::write(&config, local).unwrap();
    std::fs::write(&passwords, "").unwrap();
    let start = || {
        let child = Command::new(program)
            .arg("-c")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Broker(child.unwrap())
    };
    let user = Some(("sensor", "s3cret-of-the-test"));
    // As long as there is no secret the broker is up, and lets no sensor in.
    let broker = start();
    assert_eq!(connect(sensors, "a", None).1, 5);
    assert_eq!(connect(sensors, "b", user).1, 5);
    drop(broker);
    tools::run(
        "mosquitto_passwd",
        &[
            "-b",
            &passwords.display().to_string(),
            "sensor",
            "s3cret-of-the-test",
        ],
    )
    .unwrap();
    let _broker = start();
    assert_eq!(connect(sensors, "c", None).1, 5);
    let (mut sensor, code) = connect(sensors, "d", user);
    assert_eq!(code, 0);
    let (mut reader, code) = connect(readers, "e", None);
    assert_eq!(code, 0);
    let mut subscribe = vec![0, 1];
    subscribe.extend(string("#"));
    subscribe.push(0);
    send(&mut reader, 0x82, &subscribe);
    assert_eq!(receive(&mut reader), (0x90, vec![0, 1, 0]));
    let (mut forger, _) = connect(readers, "f", None);
    publish(&mut forger, "room/temperature", "99");
    // Its answer to a ping comes after the broker has seen the message.
    send(&mut forger, 0xC0, &[]);
    assert_eq!(receive(&mut forger).0, 0xD0);
    publish(&mut sensor, "room/temperature", "21");
    let (_, body) = receive(&mut reader);
    assert_eq!(body, [string("room/temperature"), b"21".to_vec()].concat());
}
