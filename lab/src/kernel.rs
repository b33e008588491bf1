//! What the kernel of this network namespace is told.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context as _, anyhow, bail};

use crate::topology::Shape;

/// Lets every group use unprivileged ICMP sockets in this network namespace.
pub(crate) fn open_ping_sockets() -> anyhow::Result<()> {
    // Only groups that the user namespace knows are taken: the first range begins at 0 and has this length.
    let map = std::fs::read_to_string("/proc/self/gid_map")?;
    let mut last = 0_u64;
    for line in map.lines() {
        let numbers: Vec<u64> = line
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        if let [first, _, count] = numbers[..]
            && first <= last + 1
        {
            last = last.max(first + count - 1);
        }
    }
    let range = format!("0 {}", last.min(2_147_483_647));
    std::fs::write("/proc/sys/net/ipv4/ping_group_range", range).context("ping_group_range")
}

/// Runs lines of `ip` commands in this network namespace.
pub(crate) fn run_ip(batch: &str) -> anyhow::Result<()> {
    let mut child = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("ip")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(batch.as_bytes())?;
    }
    let out = child.wait_with_output()?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr);
        bail!("ip: {}; the commands were:\n{batch}", said.trim());
    }
    Ok(())
}

/// Has the kernel delay and lose what leaves this interface.
pub(crate) fn netem(interface: &str, shape: Shape) -> anyhow::Result<()> {
    let half = shape.jitter / 2;
    let out = Command::new("tc")
        .args(["qdisc", "replace", "dev", interface, "root", "netem"])
        .args([
            "delay",
            &microseconds(shape.delay + half),
            &microseconds(half),
        ])
        .args(["loss", &format!("{}%", shape.loss * 100.0)])
        .stdin(Stdio::null())
        .output()
        .context("tc")?;
    if out.status.success() {
        return Ok(());
    }
    Err(anyhow!(
        "tc on {interface}: {}",
        String::from_utf8_lossy(&out.stderr).trim()
    ))
}

fn microseconds(time: std::time::Duration) -> String {
    format!("{}us", time.as_micros())
}
