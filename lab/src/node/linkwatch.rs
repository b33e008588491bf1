//! Interfaces that come and go, told to syslog: FRR's daemons do not.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

/// Facility local7, severity error (RFC 5424 section 6.2.1), as routers do.
const PRIORITY: u8 = 23 * 8 + 3;

/// Watches the interfaces of this network namespace until `ip monitor` ends.
pub(crate) fn watch() -> anyhow::Result<()> {
    let mut child = Command::new("ip")
        .args(["-oneline", "monitor", "link"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut known = HashMap::new();
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).lines() {
            if let Some((interface, up)) = state(&line?)
                && known.insert(interface.clone(), up) != Some(up)
            {
                tell(&interface, up);
            }
        }
    }
    anyhow::bail!("ip monitor ended: {}", child.wait()?)
}

/// The interface and whether it is up, of one line of `ip -oneline monitor link`.
fn state(line: &str) -> Option<(String, bool)> {
    let line = line.strip_prefix("[LINK]").unwrap_or(line);
    let mut words = line.split_whitespace();
    let index = words.next()?;
    if index == "Deleted" || !index.ends_with(':') {
        return None;
    }
    let name = words.next()?.trim_end_matches(':').split('@').next()?;
    let flags = words.next()?.trim_matches(['<', '>']);
    Some((
        name.to_owned(),
        flags.split(',').any(|flag| flag == "LOWER_UP"),
    ))
}

fn tell(interface: &str, up: bool) {
    let state = if up { "up" } else { "down" };
    let text = format!(
        "<{PRIORITY}>{} netlink: LINK-3-UPDOWN: Interface {interface}, changed state to {state}",
        jiff::Zoned::now().strftime("%b %e %H:%M:%S")
    );
    // Without a syslog daemon there is nobody to tell.
    let _ = UnixDatagram::unbound().and_then(|socket| socket.send_to(text.as_bytes(), "/dev/log"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_monitor_gives_interface_and_state() {
        let up = "5: to-r2@if4: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default \\    link/ether aa";
        let down =
            "5: to-r2@if4: <BROADCAST,MULTICAST> mtu 1500 qdisc noqueue state DOWN group default ";
        let no_carrier =
            "7: to-h1@if4: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 state LOWERLAYERDOWN";
        assert_eq!(state(up), Some(("to-r2".to_owned(), true)));
        assert_eq!(state(down), Some(("to-r2".to_owned(), false)));
        assert_eq!(state(no_carrier), Some(("to-h1".to_owned(), false)));
        for other in ["", "Deleted 5: to-r2: <UP>", "nonsense"] {
            assert_eq!(state(other), None, "{other:?}");
        }
    }
}
