//! Two routers in network namespaces: FRR behind net-snmp's AgentX, its real interfaces, BGP and OSPF neighbours, and ICMP from a router.

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use testkit::namespace::Peer;
use testkit::{Samples, TempDir};

const SNMPD: &str = "/usr/sbin/snmpd";
const FRR: &str = "/usr/lib/frr";
const NEEDED: [&str; 6] = [
    SNMPD,
    "/usr/lib/frr/zebra",
    "/usr/lib/frr/bgpd",
    "/usr/lib/frr/ospfd",
    "/usr/bin/unshare",
    "/usr/bin/curl",
];
/// What is behind the second router and leads nowhere.
const NOWHERE: &str = "198.18.79.1";

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A namespace with what runs in it, which ends with the test.
struct Router {
    peer: Peer,
    running: Vec<Running>,
    dir: TempDir,
}

impl Router {
    fn new() -> Self {
        let peer = Peer::apart();
        peer.ip("route add unreachable default");
        Self {
            peer,
            running: Vec::new(),
            dir: TempDir::new().unwrap(),
        }
    }

    fn keep(&mut self, mut command: Command) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.dir.join("log"))
            .unwrap();
        let child = command
            .env("MIBS", "")
            .env("SNMPCONFPATH", self.dir.path())
            .env("SNMP_PERSISTENT_DIR", self.dir.join("state"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.running.push(Running(child));
    }

    /// Starts the daemons of a router.
    fn start(&mut self, number: u8) {
        let own = format!("198.18.78.{number}");
        let peer = format!("198.18.78.{}", 3 - number);
        let write = |name: &str, text: &str| std::fs::write(self.dir.join(name), text).unwrap();
        write(
            "snmpd.conf",
            "agentAddress udp:127.0.0.1:16100\nrocommunity public 127.0.0.1\nsysName router\nmaster agentx\nagentXSocket tcp:localhost:705\n",
        );
        write("frr.conf", "agentXSocket tcp:localhost:705\n");
        write("zebra.conf", "hostname router\nagentx\n");
        write(
            "bgpd.conf",
            &format!(
                "hostname router\nagentx\nrouter bgp 6500{number}\n bgp router-id {own}\n no bgp ebgp-requires-policy\n timers bgp 3 9\n \
                 neighbor {peer} remote-as 6500{}\n neighbor {peer} timers connect 1\n",
                3 - number
            ),
        );
        write(
            "ospfd.conf",
            "hostname router\nagentx\ninterface uplink\n ip ospf network point-to-point\n ip ospf hello-interval 1\n ip ospf dead-interval 5\n \
             ip ospf area 0\nrouter ospf\n",
        );
        std::fs::create_dir_all(self.dir.join("state")).unwrap();
        if number == 1 {
            let mut snmpd = self.peer.command(SNMPD);
            snmpd
                .args(["-f", "-Lo", "-C", "-c"])
                .arg(self.dir.join("snmpd.conf"));
            self.keep(snmpd);
            // FRR's modules look for the master once when they start, and then seldom.
            self.wait_for_port(705);
        }
        // The daemons run as their own user, which must be in the group of vtysh.
        self.peer.run(
            "chown",
            &["-R", "frr:frr", &self.dir.path().display().to_string()],
        );
        for name in ["zebra", "bgpd", "ospfd"] {
            let mut daemon = self.peer.command(&format!("{FRR}/{name}"));
            daemon
                .args(["-u", "frr", "-g", "frr", "-A", "127.0.0.1", "-P", "0", "-f"])
                .arg(self.dir.join(format!("{name}.conf")))
                .arg("-i")
                .arg(self.dir.join(format!("{name}.pid")))
                .arg("-z")
                .arg(self.dir.join("zserv.api"))
                .arg("--vty_socket")
                .arg(self.dir.path());
            if number == 1 {
                daemon.args(["-M", "snmp"]);
            }
            self.keep(daemon);
            let began = Instant::now();
            while name == "zebra" && !self.dir.join("zserv.api").exists() {
                assert!(began.elapsed() < Duration::from_secs(30), "{}", self.log());
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }

    /// Waits until something listens on this port.
    fn wait_for_port(&self, port: u16) {
        let (began, listens) = (Instant::now(), format!(":{port:04X} "));
        let in_table = |table: &str| self.peer.run("cat", &[table]).contains(&listens);
        while !in_table("/proc/net/tcp") && !in_table("/proc/net/tcp6") {
            assert!(began.elapsed() < Duration::from_secs(30), "{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// What our exporter in this namespace says.
    fn scrape(&self, query: &str) -> String {
        let url = format!("http://127.0.0.1:19116/snmp?{query}");
        // Without --retry: curl would ask again for half a minute where the answer is status 500.
        self.peer.run("curl", &["-sS", &url])
    }
}

fn first(samples: &Samples, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    samples
        .select(name, labels)
        .next()
        .map(|sample| sample.value)
}

fn skipped() -> bool {
    let missing = NEEDED.iter().find(|path| !Path::new(path).exists());
    if let Some(path) = missing {
        testkit::skip(format_args!("{path} is not installed"));
    } else if !nix::unistd::geteuid().is_root() {
        testkit::skip("network namespaces with daemons need root");
    } else {
        let module = Command::new("sh")
            .args(["-c", "ls /usr/lib/*/frr/modules/bgpd_snmp.so"])
            .output()
            .unwrap();
        if !module.status.success() {
            testkit::skip("bgpd_snmp.so is not installed");
            return true;
        }
        return false;
    }
    true
}

#[test]
fn a_router_shows_its_interfaces_and_neighbours_through_agentx() {
    if skipped() {
        return;
    }
    let (mut one, mut two) = (Router::new(), Router::new());
    one.peer.link(&two.peer, "uplink", "uplink");
    one.peer.ip("address add 198.18.78.1/30 dev uplink");
    two.peer.ip("address add 198.18.78.2/30 dev uplink");
    two.peer.set("ipv4/ip_forward", "1");
    two.peer.ip("route add unreachable 198.18.79.0/24");
    one.peer.ip("route add 198.18.79.0/24 via 198.18.78.2");
    two.start(2);
    one.start(1);
    let mut ours = one.peer.command(env!("CARGO_BIN_EXE_sotp-snmp"));
    ours.arg("--web.listen-address=127.0.0.1:19116");
    one.keep(ours);
    one.wait_for_port(19116);

    let began = Instant::now();
    let samples = loop {
        let text = one.scrape("target=127.0.0.1:16100&module=if_mib&module=bgp&module=ospf");
        let samples = Samples::parse(&text).unwrap_or_default();
        let neighbour = [("bgpPeerRemoteAddr", "198.18.78.2")];
        let established = first(&samples, "bgpPeerState", &neighbour) == Some(6.0);
        let full = samples
            .select("ospfNbrState", &[])
            .any(|sample| sample.value == 8.0);
        // snmpd reads its interfaces anew every few seconds.
        let counts =
            |name| first(&samples, name, &[("ifName", "uplink")]).is_some_and(|count| count > 0.0);
        if established && full && counts("ifHCInOctets") && counts("ifHCOutOctets") {
            break samples;
        }
        assert!(
            began.elapsed() < Duration::from_secs(90),
            "{text}\n{}\n{}",
            one.log(),
            two.log()
        );
        std::thread::sleep(Duration::from_millis(500));
    };
    for module in ["if_mib", "bgp", "ospf"] {
        assert_eq!(
            samples.value("snmp_scrape_complete", &[("module", module)]),
            Some(1.0),
            "{module}"
        );
    }
    // What the kernel says of the interface is what the scrape says.
    let uplink = |name: &str| first(&samples, name, &[("ifName", "uplink")]);
    assert_eq!(uplink("ifOperStatus"), Some(1.0));
    assert_eq!(uplink("ifMtu"), Some(1500.0));
    let shown = samples
        .select("ifOperStatus", &[])
        .find(|sample| {
            sample
                .labels
                .get("ifName")
                .is_some_and(|name| name == "uplink")
        })
        .unwrap();
    let listed = one.peer.run("ip", &["-o", "link", "show", "uplink"]);
    assert!(
        listed.starts_with(&format!("{}:", shown.labels["ifIndex"])),
        "{listed}"
    );
    // Cut, it shows at the next scrape.
    two.peer.ip("link set uplink down");
    let began = Instant::now();
    loop {
        let text = one.scrape("target=127.0.0.1:16100&module=if_mib");
        let samples = Samples::parse(&text).unwrap_or_default();
        if first(&samples, "ifOperStatus", &[("ifName", "uplink")])
            .is_some_and(|state| state != 1.0)
        {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{text}");
        std::thread::sleep(Duration::from_millis(500));
    }
    two.peer.ip("link set uplink up");
    // The second router says that there is no way.
    let began = Instant::now();
    loop {
        let text = one.scrape(&format!("target={NOWHERE}&module=system"));
        if text.contains(": icmp_unreachable: ") {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{text}");
    }
    // And so does our own host, where it has no route.
    let text = one.scrape("target=203.0.113.1&module=system");
    assert!(text.contains(": icmp_unreachable: "), "{text}");
}
