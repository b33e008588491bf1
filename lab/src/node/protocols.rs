//! What FRR's daemons say about their neighbours, asked over their own sockets.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest answer taken from a daemon.
const ANSWER_MAX: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(2);

/// An OSPF neighbour.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OspfNeighbor {
    pub(crate) router_id: String,
    pub(crate) interface: String,
    /// RFC 2328 section 10.1; `Full` when the databases agree.
    pub(crate) state: String,
}

/// A BGP peer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BgpPeer {
    pub(crate) address: String,
    pub(crate) asn: u64,
    /// RFC 4271 section 8.2.2; `Established` when routes flow.
    pub(crate) state: String,
    pub(crate) prefixes_received: u64,
}

/// Whether the daemon takes commands now.
pub(crate) fn answers(daemon: &str) -> bool {
    show(daemon, "show version").is_ok()
}

/// The OSPF neighbours of this router.
pub(crate) fn ospf_neighbors() -> io::Result<Vec<OspfNeighbor>> {
    let answer: Value = serde_json::from_str(&show("ospfd", "show ip ospf neighbor json")?)?;
    let Some(by_router) = answer["neighbors"].as_object() else {
        return Ok(Vec::new());
    };
    let mut neighbors = Vec::new();
    for (router_id, list) in by_router {
        for one in list.as_array().into_iter().flatten() {
            let text = |field: &str| one[field].as_str().unwrap_or_default();
            // Older ones call it `state`; both are `Full/-` with the role after the stroke.
            let state = [text("nbrState"), text("state")].concat();
            neighbors.push(OspfNeighbor {
                router_id: router_id.clone(),
                interface: before(text("ifaceName"), ':').to_owned(),
                state: before(&state, '/').to_owned(),
            });
        }
    }
    Ok(neighbors)
}

/// The BGP peers of this router.
pub(crate) fn bgp_peers() -> io::Result<Vec<BgpPeer>> {
    let answer: Value = serde_json::from_str(&show("bgpd", "show bgp summary json")?)?;
    let Some(peers) = answer["ipv4Unicast"]["peers"].as_object() else {
        return Ok(Vec::new());
    };
    let peer = |(address, peer): (&String, &Value)| BgpPeer {
        address: address.clone(),
        asn: peer["remoteAs"].as_u64().unwrap_or(0),
        state: peer["state"].as_str().unwrap_or_default().to_owned(),
        prefixes_received: peer["pfxRcd"].as_u64().unwrap_or(0),
    };
    Ok(peers.iter().map(peer).collect())
}

fn before(text: &str, stop: char) -> &str {
    text.split(stop).next().unwrap_or_default()
}

/// One command to a daemon, in the form that vtysh speaks: the command ends with a NUL, the answer with three
/// NULs and a status.
fn show(daemon: &str, command: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(Path::new("/run/frr").join(format!("{daemon}.vty")))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{command}\0").as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0_u8; 8 << 10];
    loop {
        let length = stream.read(&mut buffer)?;
        answer.extend_from_slice(&buffer[..length]);
        if let [.., 0, 0, 0, status] = answer[..] {
            answer.truncate(answer.len() - 4);
            return if status == 0 {
                Ok(String::from_utf8_lossy(&answer).into_owned())
            } else {
                Err(io::Error::other(format!("{daemon} refused {command:?}")))
            };
        }
        if length == 0 || answer.len() > ANSWER_MAX {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
