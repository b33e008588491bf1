//! Devices with DNS names, against a server of the test.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::namespace;
use crate::service::{Files, of};

/// What the server says of the one name.
#[derive(Debug, Clone, Copy)]
enum Says {
    Nothing,
    NoSuchName,
    Address(Ipv4Addr),
}

/// A DNS server for one name with a time to live of one second (RFC 1035).
struct Server {
    says: Arc<Mutex<Says>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:5353").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let says = Arc::new(Mutex::new(Says::Nothing));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (says, stop) = (Arc::clone(&says), Arc::clone(&stop));
            move || {
                let mut buffer = [0; 512];
                while !stop.load(Ordering::Relaxed) {
                    let Ok((length, from)) = socket.recv_from(&mut buffer) else {
                        continue;
                    };
                    if let Some(answer) = answer(&buffer[..length], *says.lock().unwrap()) {
                        socket.send_to(&answer, from).unwrap();
                    }
                }
            }
        });
        Self {
            says,
            stop,
            thread: Some(thread),
        }
    }

    fn say(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(query: &[u8], says: Says) -> Option<Vec<u8>> {
    let end = 12 + query[12..].iter().position(|&byte| byte == 0)? + 5;
    let is_a = query[end - 4..end - 2] == [0, 1];
    let (code, addresses) = match says {
        Says::Nothing => return None,
        Says::NoSuchName => (3, Vec::new()),
        Says::Address(address) if is_a => (0, vec![address]),
        Says::Address(_) => (0, Vec::new()),
    };
    let mut answer = query[..2].to_vec();
    answer.extend_from_slice(&[
        0x85,
        0x80 | code,
        0,
        1,
        0,
        addresses.len() as u8,
        0,
        0,
        0,
        0,
    ]);
    answer.extend_from_slice(&query[12..end]);
    for address in addresses {
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
        answer.extend_from_slice(&address.octets());
    }
    Some(answer)
}

#[tokio::test]
async fn a_name_is_followed_and_its_last_address_kept() {
    let Some(namespace) = namespace::enter("names::a_name_is_followed_and_its_last_address_kept")
    else {
        return;
    };
    let server = Server::start();
    let config = "probe: {interval: 100ms, timeout: 400ms}\n\
                  dns: {servers: ['127.0.0.1:5353'], timeout: 500ms, min_ttl: 1s, max_ttl: 1s}\n";
    let inventory =
        "devices: [{name: named, address: host.example.org}, {name: plain, address: 127.0.0.1}]\n";
    // The service is ready and probes the others while nobody answers its questions.
    let service = Files::new(inventory, config).start(&namespace).await;
    let resolvable = [("device", "named")];
    let samples = service
        .until("the other is probed", |samples| {
            of(samples, "ping_responses_total", "plain", "ipv4") >= 3.0
        })
        .await;
    assert_eq!(samples.value("ping_resolvable", &resolvable), Some(0.0));
    assert_eq!(
        samples.select("ping_requests_total", &resolvable).count(),
        0
    );

    let at = |samples: &testkit::Samples, address: &str| {
        samples
            .select(
                "ping_target_info",
                &[("device", "named"), ("address", address)],
            )
            .count()
            == 1
    };
    server.say(Says::Address(Ipv4Addr::new(127, 0, 0, 7)));
    let first = service
        .until("the name is probed", |samples| {
            at(samples, "127.0.0.7") && of(samples, "ping_responses_total", "named", "ipv4") >= 5.0
        })
        .await;
    assert_eq!(first.value("ping_resolvable", &resolvable), Some(1.0));
    assert_eq!(
        first.select("ping_requests_total", &resolvable).count(),
        1,
        "there is no AAAA record"
    );

    server.say(Says::Address(Ipv4Addr::new(127, 0, 0, 8)));
    let second = service
        .until("it moved", |samples| at(samples, "127.0.0.8"))
        .await;
    let requests = |samples: &testkit::Samples| of(samples, "ping_requests_total", "named", "ipv4");
    assert!(
        requests(&second) >= requests(&first),
        "the counters went on"
    );
    assert_eq!(of(&second, "ping_lost_total", "named", "ipv4"), 0.0);

    for silence in [Says::NoSuchName, Says::Nothing] {
        server.say(silence);
        let kept = service
            .until("it does not resolve", |samples| {
                samples.value("ping_resolvable", &resolvable) == Some(0.0)
            })
            .await;
        assert!(
            at(&kept, "127.0.0.8"),
            "{silence:?}: the last good address stays"
        );
        let before = requests(&kept);
        service
            .until("it is still probed", |samples| {
                requests(samples) > before + 3.0
            })
            .await;
        server.say(Says::Address(Ipv4Addr::new(127, 0, 0, 8)));
        service
            .until("it resolves again", |samples| {
                samples.value("ping_resolvable", &resolvable) == Some(1.0)
            })
            .await;
    }
}
