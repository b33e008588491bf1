//! Version 3 against net-snmp's snmpd: every protocol, every wrong credential, reboots and changes of the engine.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use testkit::{Process, Samples, Spawn, TempDir};

const SNMPD: &str = "/usr/sbin/snmpd";
const AUTH: [(&str, &str); 6] = [
    ("MD5", "MD5"),
    ("SHA", "SHA"),
    ("SHA224", "SHA-224"),
    ("SHA256", "SHA-256"),
    ("SHA384", "SHA-384"),
    ("SHA512", "SHA-512"),
];
const PRIV: [(&str, &str); 6] = [
    ("DES", "DES"),
    ("AES", "AES"),
    ("AES192", "AES-192"),
    ("AES256", "AES-256"),
    ("AES192C", "AES192C"),
    ("AES256C", "AES256C"),
];

struct Snmpd {
    dir: TempDir,
    port: u16,
    child: Child,
}

impl Drop for Snmpd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Snmpd {
    fn start(engine: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let port = std::net::UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        Self::configure(&dir, port, engine);
        let child = Self::spawn(&dir);
        let snmpd = Self { dir, port, child };
        snmpd.wait();
        snmpd
    }

    fn configure(dir: &TempDir, port: u16, engine: &str) {
        let mut text = format!(
            "agentaddress udp:127.0.0.1:{port}\nrocommunity public 127.0.0.1\nengineID {engine}\ncreateUser plain\nrouser plain noauth\nsysName device\n"
        );
        for (auth, theirs) in AUTH {
            let _ = writeln!(
                text,
                "createUser a{auth} {theirs} authpassword\nrouser a{auth} auth"
            );
            for (cipher, their_cipher) in PRIV {
                let _ = writeln!(
                    text,
                    "createUser p{auth}{cipher} {theirs} authpassword {their_cipher} privpassword\nrouser p{auth}{cipher} priv"
                );
            }
        }
        std::fs::write(dir.join("snmpd.conf"), text).unwrap();
        std::fs::create_dir_all(dir.join("persist")).unwrap();
    }

    fn spawn(dir: &TempDir) -> Child {
        Command::new(SNMPD)
            .args(["-f", "-Lf"])
            .arg(dir.join("log"))
            .arg("-C")
            .arg("-c")
            .arg(dir.join("snmpd.conf"))
            .env("SNMP_PERSISTENT_DIR", dir.join("persist"))
            .env("SNMPCONFPATH", dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Waits until it answers a version 2c request.
    fn wait(&self) {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(("127.0.0.1", self.port)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        let up_time: [&[u32]; 1] = [&[1, 3, 6, 1, 2, 1, 1, 3, 0]];
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(60) {
            let _ = socket.send(&sotp_snmp::codec::message(
                2,
                b"public",
                sotp_snmp::codec::Operation::Get,
                1,
                &up_time,
            ));
            if socket.recv(&mut [0; 1500]).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!(
            "snmpd does not answer: {}",
            std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
        );
    }

    fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn restart(&mut self, engine: &str, forget: bool) {
        self.stop();
        if forget {
            std::fs::remove_dir_all(self.dir.join("persist")).unwrap();
        }
        Self::configure(&self.dir, self.port, engine);
        self.child = Self::spawn(&self.dir);
        self.wait();
    }

    /// The users that this build of net-snmp made.
    fn lacks(&self, protocol: &str) -> bool {
        let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        log.lines()
            .any(|line| line.contains("nvalid") && line.contains(protocol))
    }
}

fn config() -> String {
    let mut out = String::from(
        "auths:\n  public_v2: {version: 2, community: public}\n  plain: {version: 3, username: plain}\n  nobody: {version: 3, username: nobody}\n",
    );
    let user = |name: &str,
                user: &str,
                level: &str,
                auth: &str,
                password: &str,
                cipher: &str,
                secret: &str| {
        format!(
            "  {name}: {{version: 3, username: {user}, security_level: {level}, auth_protocol: {auth}, password: {password}, priv_protocol: {cipher}, \
             priv_password: {secret}}}\n"
        )
    };
    for (auth, _) in AUTH {
        out += &user(
            &format!("a{auth}"),
            &format!("a{auth}"),
            "authNoPriv",
            auth,
            "authpassword",
            "DES",
            "x",
        );
        for (cipher, _) in PRIV {
            out += &user(
                &format!("p{auth}{cipher}"),
                &format!("p{auth}{cipher}"),
                "authPriv",
                auth,
                "authpassword",
                cipher,
                "privpassword",
            );
        }
    }
    out += &user(
        "wrong_password",
        "pSHAAES",
        "authPriv",
        "SHA",
        "wrongpassword",
        "AES",
        "privpassword",
    );
    out += &user(
        "wrong_protocol",
        "pSHAAES",
        "authPriv",
        "MD5",
        "authpassword",
        "AES",
        "privpassword",
    );
    out += &user(
        "wrong_key",
        "pSHAAES",
        "authPriv",
        "SHA",
        "authpassword",
        "AES",
        "wrongpassword",
    );
    out += &user(
        "wrong_cipher",
        "pSHAAES",
        "authPriv",
        "SHA",
        "authpassword",
        "DES",
        "privpassword",
    );
    out += &user(
        "low_level",
        "pSHAAES",
        "authNoPriv",
        "SHA",
        "authpassword",
        "DES",
        "x",
    );
    out += &user(
        "high_level",
        "aSHA",
        "authPriv",
        "SHA",
        "authpassword",
        "AES",
        "privpassword",
    );
    out += "modules:\n  system:\n    walk: [1.3.6.1.2.1.1]\n    metrics:\n    - {name: sysUpTime, oid: 1.3.6.1.2.1.1.3, type: gauge, help: h}\n    \
            - {name: sysName, oid: 1.3.6.1.2.1.1.5, type: DisplayString, help: h}\n    \
            - {name: sysORDescr, oid: 1.3.6.1.2.1.1.9.1.3, type: DisplayString, help: h, indexes: [{labelname: i, type: gauge}]}\n";
    out
}

async fn ours(dir: &TempDir) -> Process {
    std::fs::write(dir.join("snmp.yml"), config()).unwrap();
    let file = format!("--config.file={}", dir.join("snmp.yml").display());
    Spawn::new(env!("CARGO_BIN_EXE_sotp-snmp"))
        .args([file])
        .start()
        .await
        .unwrap()
}

async fn scrape(process: &Process, port: u16, auth: &str) -> (u16, String) {
    let url = process.url(&format!(
        "/snmp?target=127.0.0.1:{port}&module=system&auth={auth}"
    ));
    let request = testkit::client()
        .get(url)
        .header("X-Prometheus-Scrape-Timeout-Seconds", "15")
        .timeout(Duration::from_secs(30));
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn good(process: &Process, port: u16, auth: &str) -> Samples {
    let (status, text) = scrape(process, port, auth).await;
    assert_eq!(status, 200, "{auth}: {text}");
    let samples = Samples::parse(&text).unwrap();
    assert_eq!(
        samples.value("sysName", &[("sysName", "device")]),
        Some(1.0),
        "{auth}: {text}"
    );
    assert!(samples.select("sysORDescr", &[]).count() >= 5, "{auth}");
    samples
}

fn installed() -> bool {
    let there = Path::new(SNMPD).exists();
    if !there {
        testkit::skip(format_args!("{SNMPD} is not installed"));
    }
    there
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_protocol_and_every_wrong_credential() {
    if !installed() {
        return;
    }
    let snmpd = Snmpd::start("sotp-one");
    let dir = TempDir::new().unwrap();
    let process = ours(&dir).await;
    good(&process, snmpd.port, "plain").await;
    let mut tried = 0;
    for (auth, _) in AUTH {
        good(&process, snmpd.port, &format!("a{auth}")).await;
        for (cipher, theirs) in PRIV {
            if snmpd.lacks(theirs) {
                eprintln!("this snmpd has no {theirs}");
                continue;
            }
            good(&process, snmpd.port, &format!("p{auth}{cipher}")).await;
            tried += 1;
        }
    }
    assert!(tried >= 24, "only {tried} pairs of protocols were tried");
    for (auth, reason) in [
        ("nobody", "unknown_user"),
        ("wrong_password", "wrong_digest"),
        ("wrong_protocol", "wrong_digest"),
        ("wrong_key", "decrypt"),
        ("wrong_cipher", "decrypt"),
        ("high_level", "security_level"),
    ] {
        let (status, text) = scrape(&process, snmpd.port, auth).await;
        assert!(
            status == 500 && text.contains(&format!(": {reason}: ")),
            "{auth}: {status} {text}"
        );
    }
    let (status, text) = scrape(&process, snmpd.port, "low_level").await;
    assert!(
        status == 500 && text.contains(": authorization: "),
        "low_level: {status} {text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_known_engine_is_not_asked_again_and_every_change_heals_inside_one_scrape() {
    if !installed() {
        return;
    }
    let mut snmpd = Snmpd::start("sotp-one");
    let dir = TempDir::new().unwrap();
    let process = ours(&dir).await;
    let discoveries = async || {
        let text = testkit::client()
            .get(process.url("/metrics"))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        Samples::parse(&text)
            .unwrap()
            .value("snmp_engine_discoveries_total", &[])
            .unwrap()
    };
    good(&process, snmpd.port, "pSHA256AES").await;
    let first = discoveries().await;
    good(&process, snmpd.port, "pSHA256AES").await;
    assert_eq!(discoveries().await, first);
    // A reboot: the engine counts it.
    snmpd.restart("sotp-one", false);
    good(&process, snmpd.port, "pSHA256AES").await;
    // A reboot that the engine has forgotten: its clock goes back.
    snmpd.restart("sotp-one", true);
    good(&process, snmpd.port, "pSHA256AES").await;
    // Another engine at the same address.
    snmpd.restart("sotp-two", true);
    good(&process, snmpd.port, "pSHA256AES").await;
    assert_eq!(discoveries().await, first);
}

/// A port whose datagrams reach the target at once; each answer comes so much later.
fn slow(target: u16, delay: Duration) -> u16 {
    let bind = || std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let (front, back) = (bind(), bind());
    back.connect(("127.0.0.1", target)).unwrap();
    let port = front.local_addr().unwrap().port();
    let (to, behind) = (front.try_clone().unwrap(), back.try_clone().unwrap());
    let (sender, asking) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = front.recv_from(&mut buffer) {
            let _ = sender.send(from);
            let _ = back.send(&buffer[..length]);
        }
    });
    let (late, answers) = std::sync::mpsc::channel::<(Instant, Vec<u8>)>();
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok(length) = behind.recv(&mut buffer) {
            let _ = late.send((Instant::now() + delay, buffer[..length].to_vec()));
        }
    });
    std::thread::spawn(move || {
        let from = asking.recv().unwrap();
        for (due, answer) in answers {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let _ = to.send_to(&answer, from);
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_answers_late_has_no_wrong_key() {
    if !installed() {
        return;
    }
    let snmpd = Snmpd::start("sotp-late");
    // Asked twice in the first second, so that the key is probed: both answers come, that to the probe behind the first.
    let port = slow(snmpd.port, Duration::from_millis(1500));
    let dir = TempDir::new().unwrap();
    let process = ours(&dir).await;
    good(&process, port, "pSHA256AES").await;
}

/// A line of /proc/meminfo, in octets.
fn memory(name: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<f64>()
        .unwrap()
        * 1024.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_vitals_of_a_host_are_those_of_the_kernel() {
    if !installed() {
        return;
    }
    let snmpd = Snmpd::start("sotp-vitals");
    let dir = TempDir::new().unwrap();
    let process = ours(&dir).await;
    let target = format!("/snmp?target=127.0.0.1:{}&module=vitals", snmpd.port);
    let there = std::fs::read_to_string("/proc/cpuinfo")
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    // snmpd shows what its processors do after a minute, for which it has no setting. A scrape on that moment may bring the sum of them
    // (`cpu="all"`, UCD-SNMP-MIB) a step before each of them, which is true of the host too.
    let began = Instant::now();
    let (text, samples) = loop {
        let (status, text) = process.get(&target).await.unwrap();
        assert_eq!(status, 200, "{text}");
        let samples = Samples::parse(&text).unwrap();
        let each = |sample: &&testkit::Sample| sample.labels["cpu"] != "all";
        if samples
            .select("sotp_device_cpu_ratio", &[])
            .filter(each)
            .count()
            == there
        {
            break (text, samples);
        }
        assert!(began.elapsed() < Duration::from_secs(180), "{text}");
        tokio::time::sleep(Duration::from_secs(2)).await;
    };
    let main = [("pool", "main")];
    assert_eq!(
        samples.value("sotp_device_memory_size_bytes", &main),
        Some(memory("MemTotal:")),
        "{text}"
    );
    let used = samples
        .value("sotp_device_memory_used_bytes", &main)
        .unwrap();
    let ratio = samples
        .value("sotp_device_memory_used_ratio", &main)
        .unwrap();
    assert!((ratio - used / memory("MemTotal:")).abs() < 1e-9, "{text}");
    // snmpd reads the same file some seconds earlier, and other programs run: a fifth of the memory is leeway.
    let kernel = memory("MemTotal:")
        - memory("MemFree:")
        - memory("Buffers:")
        - memory("Cached:")
        - memory("SReclaimable:");
    assert!(
        (used - kernel).abs() < memory("MemTotal:") / 5.0,
        "{used} and {kernel}"
    );
    let processors: Vec<f64> = samples
        .select("sotp_device_cpu_ratio", &[])
        .map(|sample| sample.value)
        .collect();
    assert!(
        processors.iter().all(|busy| (0.0..=1.0).contains(busy)),
        "{there} processors: {text}"
    );
}
