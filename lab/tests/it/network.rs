//! Real networks: brought up, asked, broken, healed, and gone.

mod campus;
mod ordinary;
mod transports;
mod triangle;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::net::{Net, said};
use crate::processes::{LAB, Mark, alone, eventually};

use ordinary::OrdinaryUser;

const SECOND: Duration = Duration::from_secs(1);
/// A lab has ten seconds to start on a machine that does nothing else; the gate's machine does.
const START: Duration = Duration::from_secs(30);

#[test]
fn the_triangle_is_a_whole_network() {
    let _alone = alone();
    let net = Net::up("triangle", "triangle");
    assert!(net.took < START, "{:?}", net.took);
    triangle::protocols(&net);
    triangle::status_and_inventory(&net);
    triangle::processes_tell_no_secret(&net);
    triangle::isolation(&net);
    triangle::snmp(&net);
    triangle::ssh(&net);
    triangle::flows(&net);
    triangle::links_break_and_heal_and_syslog_tells(&net);
    triangle::a_daemon_that_dies_comes_back(&net);
    let again = net.lab(&["up"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(
        said(&again).contains("a lab named triangle runs or starts already"),
        "{}",
        said(&again)
    );
    let down = net.lab(&["down"]);
    assert!(down.status.success(), "{}", said(&down));
    net.mark.assert_gone(SECOND);
    assert!(!Path::new(&net.state("")).exists());
}

#[test]
fn syslog_travels_over_udp_tcp_and_tls() {
    let _alone = alone();
    let topology = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/testdata/topology/transports.good.toml"
    );
    let tls = std::fs::read_dir("/usr/lib").unwrap().flatten();
    if !tls
        .map(|kind| kind.path().join("rsyslog/lmnsd_ossl.so"))
        .any(|driver| driver.exists())
    {
        return testkit::skip("rsyslog's TLS is missing: apt install rsyslog-openssl");
    }
    let net = Net::up("transports", topology);
    transports::each_way_tells_its_device(&net);
}

#[test]
fn two_labs_live_side_by_side_and_a_killed_one_leaves_nothing() {
    let _alone = alone();
    let one = Net::up("one", "triangle");
    let other = Net::up("other", "triangle");
    for net in [&one, &other] {
        net.assert_echo("h1", "198.18.0.102", SECOND);
    }
    assert_ne!(one.secret("password"), other.secret("password"));
    assert!(one.lab(&["break", "r3-h2"]).status.success());
    assert!(one.echo("box", "198.18.0.102").is_err());
    other.assert_echo("box", "198.18.0.102", SECOND);

    let outer = one.status()["pid"].to_string();
    assert!(
        Command::new("kill")
            .args(["-KILL", &outer])
            .status()
            .unwrap()
            .success()
    );
    one.mark.assert_gone(5 * SECOND);
    assert_no_mounts(&one);
    let status = one.lab(&["status"]);
    assert_eq!(status.status.code(), Some(1));
    assert!(
        said(&status).contains("no lab named one runs"),
        "{}",
        said(&status)
    );
    other.assert_echo("box", "198.18.0.102", SECOND);
    assert!(
        said(&one.lab(&["up"])).contains("one: up"),
        "a killed lab starts again"
    );
}

fn assert_no_mounts(net: &Net) {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let folder = net.folder.path().display().to_string();
    for word in [folder.as_str(), "sotp-lab-box", "nsfs"] {
        assert!(!mounts.contains(word), "{word}: {mounts}");
    }
}

#[test]
fn a_lab_in_the_foreground_ends_with_its_program_however_that_ends() {
    let _alone = alone();
    let net = Net::prepare("front");
    let mut command = Command::new(LAB);
    command.args(["up", "--name", "front", "--foreground"]);
    command
        .env("XDG_RUNTIME_DIR", net.folder.path())
        .env(Mark::KEY, net.mark.word());
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the lab in the foreground", START, || {
        let output = net.lab(&["status", "--json"]);
        let text = said(&output);
        if output.status.success() {
            Ok(())
        } else {
            Err(text)
        }
    });
    assert!(net.mark.living().len() > 20);
    child.kill().unwrap();
    child.wait().unwrap();
    net.mark.assert_gone(5 * SECOND);
    assert_no_mounts(&net);
}

#[test]
fn a_start_that_is_interrupted_leaves_nothing() {
    let _alone = alone();
    let net = Net::prepare("half");
    let mut command = Command::new(LAB);
    command.args(["up", "--name", "half"]);
    command
        .env("XDG_RUNTIME_DIR", net.folder.path())
        .env(Mark::KEY, net.mark.word());
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("half a lab", START, || {
        let living = net.mark.living();
        if living.iter().any(|line| line.contains("zebra")) {
            Ok(())
        } else {
            Err(format!("{living:?}"))
        }
    });
    child.kill().unwrap();
    child.wait().unwrap();
    net.mark.assert_gone(5 * SECOND);
    // What is left on disk goes with `down`.
    assert!(Path::new(&net.state("credentials.json")).exists());
    assert!(net.lab(&["down"]).status.success());
    assert!(!Path::new(&net.state("")).exists());
    assert_eq!(net.lab(&["down"]).status.code(), Some(1));
}

#[test]
fn the_campus_has_ten_routers() {
    let _alone = alone();
    let net = Net::up("campus", "campus");
    campus::routers(&net);
    campus::one_address_leads_to_every_router(&net);
    campus::a_core_may_go(&net);
}

#[test]
fn the_wan_delays_and_loses_what_its_topology_says() {
    let _alone = alone();
    if !Path::new("/dev/net/tun").exists() {
        testkit::skip("no /dev/net/tun on this machine");
        return;
    }
    let net = Net::prepare("wan");
    let output = net.lab(&[
        "up",
        "--topology",
        "wan",
        "--links",
        "tun",
        "--deadline",
        "60",
    ]);
    assert!(output.status.success(), "{}", said(&output));
    let medium: Vec<String> = net.status()["links"]
        .as_array()
        .unwrap()
        .iter()
        .map(|link| link["medium"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(medium, ["tun", "tun", "tun", "tun", "veth", "veth", "veth"]);
    // There and back: twice 75 ms, and twice up to 8 ms of jitter; the rest is this machine's.
    let takes = |address: &str, least: f64, most: f64| {
        let what = format!("{least} to {most} ms to {address}");
        eventually(&what, 20 * SECOND, || {
            let time = net.echo("box", address)?;
            assert!(time >= least, "{what}: {time}");
            (time <= most).then_some(()).ok_or(format!("{time}"))
        });
    };
    takes("198.18.0.4", 150.0, 200.0);
    takes("198.18.0.1", 0.0, 20.0);

    assert!(
        net.lab(&["break", "hq-cape", "--delay", "150", "--loss", "0"])
            .status
            .success()
    );
    takes("198.18.0.4", 300.0, 350.0);
    assert!(
        net.lab(&["break", "hq-cape", "--loss", "100"])
            .status
            .success()
    );
    assert!(net.echo("box", "198.18.0.4").is_err());
    let wire = &net.status()["links"][2]["wire"];
    assert!(wire["lost"].as_u64().unwrap() > 0, "{wire}");
    assert!(net.lab(&["heal"]).status.success());
    net.assert_echo("box", "198.18.0.4", 20 * SECOND);
    takes("198.18.0.4", 150.0, 200.0);

    assert!(net.lab(&["break", "hq-ny"]).status.success());
    let port = net.exec("ny", &["ip", "-oneline", "link", "show", "to-hq"]);
    assert!(
        port.contains("NO-CARRIER") && port.contains(",UP>"),
        "{port}"
    );
    // The long way, over Singapore: 80 + 110 ms, twice.
    eventually("the long way to ny", 20 * SECOND, || {
        match net.echo("box", "198.18.0.2") {
            Ok(time) if time > 380.0 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}

#[test]
fn an_ordinary_user_brings_up_the_triangle() {
    let _alone = alone();
    let Some(user) = OrdinaryUser::new() else {
        return;
    };
    let began = Instant::now();
    let output = user.lab(&["up", "--deadline", "60"]);
    assert!(output.status.success(), "{}", said(&output));
    eprintln!(
        "triangle of an ordinary user is up after {:.1} s",
        began.elapsed().as_secs_f64()
    );
    let config = user
        .run
        .join("sotp-lab/lab/ssh_config")
        .display()
        .to_string();
    let version = user.lab(&[
        "exec",
        "box",
        "--",
        "ssh",
        "-F",
        &config,
        "r2",
        "show version",
    ]);
    assert!(said(&version).contains("FRRouting"), "{}", said(&version));
    let whole = said(&user.lab(&["exec", "r1", "--", "vtysh", "-c", "show ip ospf neighbor"]));
    assert_eq!(whole.matches("Full/-").count(), 2, "{whole}");
    assert!(user.lab(&["break", "r3-h2"]).status.success());
    let echo = [
        "exec",
        "box",
        "--",
        &user.program,
        "inside",
        "echo",
        "198.18.0.102",
    ];
    assert!(!user.lab(&echo).status.success());
    assert!(user.lab(&["heal"]).status.success());
    eventually("h2 is back", 10 * SECOND, || {
        let output = user.lab(&echo);
        if output.status.success() {
            Ok(())
        } else {
            Err(said(&output))
        }
    });
    let down = user.lab(&["down"]);
    assert!(down.status.success(), "{}", said(&down));
    user.mark.assert_gone(5 * SECOND);
}

#[test]
fn a_bad_topology_is_refused_with_its_place_and_starts_nothing() {
    let net = Net::prepare("bad");
    let file = net.folder.join("net.toml");
    std::fs::write(&file, "title = \"x\"\ngateway = \"r1\"\nrouters = 3\n").unwrap();
    let output = net.lab(&["up", "--topology", &file.display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    let expected = format!(
        "sotp-lab: {}:3: unknown field `routers`, expected one of `title`, `seed`, `gateway`, `site`, `router`, \
         `host`, `link`, `traffic`\n",
        file.display()
    );
    assert_eq!(said(&output), expected);
    assert!(net.mark.living().is_empty());
}

#[test]
fn missing_programs_are_named_with_their_packages_in_one_message() {
    let net = Net::prepare("poor");
    // A view of the machine without FRR and without softflowd.
    let hide = "mount -t tmpfs none /usr/lib/frr && mount --bind /dev/null /usr/sbin/softflowd && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args([
        "--map-root-user",
        "--mount",
        "--",
        "sh",
        "-c",
        hide,
        "sh",
        LAB,
        "up",
        "--name",
        "poor",
    ]);
    let output = command
        .env("XDG_RUNTIME_DIR", net.folder.path())
        .output()
        .unwrap();
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for line in [
        "/usr/lib/frr/zebra (package frr)",
        "/usr/lib/frr/bgpd (package frr)",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(
        text.contains("install them with: apt-get install frr"),
        "{text}"
    );
}
