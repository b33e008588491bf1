//! The network of a cluster: a bridge in a network namespace of the test's thread, an address for each pod, and the names of the services.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};

use testkit::namespace::{Namespace, enter, ip};

/// The address of the bridge, where names are asked for.
pub(crate) const HERE: &str = "198.18.7.1";
/// What follows the name of a service in a cluster.
const ZONE: &str = ".sotp.svc.cluster.local";
/// Kinds of records (RFC 1035 section 3.2.2, RFC 2782).
const A: u16 = 1;
const SRV: u16 = 33;

/// Where each service is: its address and its port.
pub(crate) type Names = Arc<Mutex<BTreeMap<String, (Ipv4Addr, u16)>>>;

/// The network of one test.
pub(crate) struct Network {
    pub(crate) names: Names,
    links: u8,
    _namespace: Namespace,
}

impl Network {
    /// Puts the calling thread into it; `None` where that cannot be done.
    pub(crate) fn enter(test: &str) -> Option<Self> {
        let namespace = enter(test)?;
        ip("link add br0 type bridge");
        ip(&format!("address add {HERE}/24 dev br0"));
        ip("link set br0 up");
        let names = Names::default();
        let (socket, known) = (UdpSocket::bind((HERE, 53)).unwrap(), Arc::clone(&names));
        std::thread::spawn(move || {
            let mut question = [0; 1_500];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                let known = known.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(answer) = answer(&question[..length], &known) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Some(Self {
            names,
            links: 1,
            _namespace: namespace,
        })
    }

    /// An address for another pod.
    pub(crate) fn address(&mut self) -> Ipv4Addr {
        self.links += 1;
        Ipv4Addr::new(198, 18, 7, self.links)
    }

    /// A link to the network of this process, as its `eth0`.
    pub(crate) fn link(&self, address: Ipv4Addr, pid: u32) {
        let near = format!("pod{}", address.octets()[3]);
        ip(&format!(
            "link add {near} type veth peer name eth0 netns {pid}"
        ));
        ip(&format!("link set {near} master br0 up"));
    }
}

/// The answer to a question of the DNS (RFC 1035 section 4): `A` of a service or of a pod of it, `SRV` of a headless service's port `http`.
fn answer(question: &[u8], known: &BTreeMap<String, (Ipv4Addr, u16)>) -> Option<Vec<u8>> {
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let length = usize::from(*question.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        let label = question.get(at..at + length)?;
        labels.push(String::from_utf8_lossy(label).to_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes([*question.get(at)?, *question.get(at + 1)?]);
    let asked = question.get(12..at + 4)?;
    let name = labels.join(".");
    let name = name.strip_suffix(ZONE).unwrap_or(&name);
    let service = name.strip_prefix("_http._tcp.").unwrap_or(name);
    // `ping-0.ping` is a pod of `ping`.
    let service = match service.split_once("-0.") {
        Some((pod, of)) if pod == of => of,
        _ => service,
    };
    let found = known.get(service);
    let data = found.and_then(|(address, port)| match kind {
        A => Some(address.octets().to_vec()),
        SRV if name.starts_with('_') => {
            let mut data = vec![0, 0, 0, 0];
            data.extend(port.to_be_bytes());
            for label in format!("{service}-0.{service}{ZONE}").split('.') {
                data.push(u8::try_from(label.len()).ok()?);
                data.extend(label.bytes());
            }
            data.push(0);
            Some(data)
        }
        _ => None,
    });
    let mut answer = question.get(..2)?.to_vec();
    // An answer, of who knows; no such name where there is none.
    answer.extend([0x85, if found.is_some() { 0x80 } else { 0x83 }]);
    answer.extend([0, 1, 0, u8::from(data.is_some()), 0, 0, 0, 0]);
    answer.extend(asked);
    if let Some(data) = data {
        answer.extend([0xc0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1, 0, 0, 0, 5]);
        answer.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        answer.extend(data);
    }
    Some(answer)
}
