//! Which application a flow belongs to, by protocol and port.
//!
//! The table is data: `data/applications.txt`, one line `PORT/PROTOCOL NAME`, after the service names of IANA
//! (<https://www.iana.org/assignments/service-names-port-numbers/>) for what networks carry. A site adds lines of its own.

use std::sync::Arc;

use crate::flow::Flow;
use crate::numbers;

const BUILT_IN: &str = include_str!("../data/applications.txt");

/// Most lines that a configuration may add.
pub const MOST_OWN: usize = 1_000;

/// An entry of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Application(u16);

impl Application {
    /// Its number.
    pub(crate) fn number(self) -> u32 {
        self.0.into()
    }
}

/// The table.
#[derive(Debug, Clone)]
pub struct Applications {
    names: Vec<Arc<str>>,
    /// For each of [`PROTOCOLS`] the page of each 256 ports.
    pages: [[u16; 256]; PROTOCOLS.len()],
    /// By port, one more than the application; 0 for none. Ports of which none has one share the first page.
    ports: Vec<[u16; 256]>,
}

/// TCP, UDP and SCTP.
const PROTOCOLS: [u8; 3] = [6, 17, 132];

/// A line that is none of the table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no application; expected PORT/PROTOCOL NAME, such as \"8443/tcp intranet\", with tcp, udp or sctp"
)]
pub struct Wrong(pub String);

impl Applications {
    /// The built-in table with lines that win over it.
    ///
    /// # Errors
    /// The first line that is no entry.
    pub fn new<'a>(own: impl IntoIterator<Item = &'a str>) -> Result<Self, Wrong> {
        let mut table = Self {
            names: Vec::new(),
            pages: [[0; 256]; PROTOCOLS.len()],
            ports: vec![[0; 256]],
        };
        let built_in = BUILT_IN
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in built_in.chain(own) {
            let (key, name) = entry(line).ok_or_else(|| Wrong(line.to_owned()))?;
            let application = table.named(name).ok_or_else(|| Wrong(line.to_owned()))?;
            table.put(key, application);
        }
        Ok(table)
    }

    /// Takes over the numbers of the table before a reload; a name for which there is none any more is of no application.
    pub fn follow(&mut self, before: &Self) {
        let numbers = numbers::follow(&mut self.names, &before.names);
        for entry in self.ports.iter_mut().flatten() {
            let known = entry.checked_sub(1).map(usize::from);
            let number = known.and_then(|known| numbers.get(known).copied().flatten());
            *entry = number.map_or(0, |number| number + 1);
        }
    }

    fn named(&mut self, name: &str) -> Option<Application> {
        let known = self.names.iter().position(|known| &**known == name);
        let at = known.unwrap_or_else(|| {
            self.names.push(name.into());
            self.names.len() - 1
        });
        let at = u16::try_from(at).ok().filter(|at| *at < u16::MAX);
        at.map(Application)
    }

    fn put(&mut self, (protocol, port): (u8, u16), application: Application) {
        let [upper, lower] = port.to_be_bytes().map(usize::from);
        let Some(at) = PROTOCOLS.iter().position(|known| *known == protocol) else {
            return;
        };
        let page = &mut self.pages[at][upper];
        if *page == 0 {
            *page = self.ports.len() as u16;
            self.ports.push([0; 256]);
        }
        self.ports[usize::from(*page)][lower] = application.0 + 1;
    }

    /// The application of a flow: by its destination port, else by its source port, since either end may have asked.
    #[must_use]
    pub fn of(&self, flow: &Flow) -> Option<Application> {
        let pages = match flow.protocol {
            6 => &self.pages[0],
            17 => &self.pages[1],
            132 => &self.pages[2],
            _ => return None,
        };
        let by = |port: u16| {
            let [upper, lower] = port.to_be_bytes().map(usize::from);
            let page = self.ports.get(usize::from(pages[upper]))?;
            page[lower].checked_sub(1).map(Application)
        };
        by(flow.destination_port).or_else(|| by(flow.source_port))
    }

    /// Its name, to be kept.
    #[must_use]
    pub fn shared(&self, application: Application) -> Option<Arc<str>> {
        self.names.get(usize::from(application.0)).cloned()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self, application: Application) -> &str {
        self.names
            .get(usize::from(application.0))
            .map_or("", |name| name)
    }
}

fn entry(line: &str) -> Option<((u8, u16), &str)> {
    let (service, name) = line.split_once(' ')?;
    let (port, protocol) = service.split_once('/')?;
    let protocol = match protocol {
        "tcp" => 6,
        "udp" => 17,
        "sctp" => 132,
        _ => return None,
    };
    let name = name.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let named = (1..=32).contains(&name.len()) && name.chars().all(plain);
    named.then_some(((protocol, port.parse().ok()?), name))
}

/// The name of an IP protocol number (<https://www.iana.org/assignments/protocol-numbers/>), or the number.
#[must_use]
pub fn protocol(number: u8) -> std::borrow::Cow<'static, str> {
    let name = match number {
        1 => "icmp",
        2 => "igmp",
        4 => "ipip",
        6 => "tcp",
        17 => "udp",
        41 => "ipv6",
        46 => "rsvp",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        58 => "icmpv6",
        88 => "eigrp",
        89 => "ospf",
        103 => "pim",
        112 => "vrrp",
        115 => "l2tp",
        132 => "sctp",
        136 => "udplite",
        other => return other.to_string().into(),
    };
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(lines: &[&'static str]) -> Applications {
        Applications::new(lines.iter().copied()).unwrap()
    }

    #[test]
    fn an_application_keeps_its_number_over_a_reload() {
        let before = table(&["40000/tcp mine", "40001/udp yours"]);
        let mut after = table(&["40001/udp yours", "40002/tcp new", "40000/tcp mine"]);
        after.follow(&before);
        for (protocol, port, name) in [(6, 40_000, "mine"), (17, 40_001, "yours")] {
            let flow = Flow {
                protocol,
                destination_port: port,
                ..Flow::default()
            };
            assert_eq!(after.of(&flow), before.of(&flow));
            assert_eq!(after.name(after.of(&flow).unwrap()), name);
        }
        let new = Flow {
            protocol: 6,
            destination_port: 40_002,
            ..Flow::default()
        };
        assert_eq!(after.name(after.of(&new).unwrap()), "new");
    }
}
