//! Service checks: the targets of blackbox_exporter, and its configuration.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::model::{Checks, Device, Inventory};

/// What one group of targets is asked.
pub(super) struct Check<'a> {
    /// `http`, `tcp`, `dns` or `tls`.
    pub(super) kind: &'static str,
    /// The name that a DNS server is asked for.
    pub(super) query: Option<&'a str>,
}

impl Check<'_> {
    /// The module of blackbox_exporter: a DNS server is asked for the name that its module holds.
    pub(super) fn module(&self) -> String {
        match self.query {
            None => self.kind.to_owned(),
            Some(query) => format!("{}_{query}", self.kind),
        }
    }
}

/// The targets of a device, in groups that are asked the same.
pub(super) fn groups<'a>(
    device: &'a Device,
    checks: &'a Checks,
) -> impl Iterator<Item = (Vec<String>, Option<Check<'a>>)> {
    let lists = [
        ("http", &checks.http),
        ("tcp", &checks.tcp),
        ("tls", &checks.tls),
    ];
    let plain = lists.into_iter().map(|(kind, list)| {
        let targets = list.iter().map(ToString::to_string).collect();
        (targets, Some(Check { kind, query: None }))
    });
    let dns = checks.dns.iter().map(|name| {
        let query = Some(&**name);
        let check = Check { kind: "dns", query };
        (vec![device.address.with_port(53)], Some(check))
    });
    plain
        .chain(dns)
        .filter(|(targets, _): &(Vec<String>, _)| !targets.is_empty())
}

/// `blackbox.yml` with each module that the checks of this inventory name.
///
/// Source: `CONFIGURATION.md` of <https://github.com/prometheus/blackbox_exporter>.
#[must_use]
pub fn blackbox(inventory: &Inventory) -> String {
    let mut text = "# blackbox_exporter for the checks of the inventory.\nmodules:\n  \
        http: {prober: http, timeout: 5s}\n  \
        tcp: {prober: tcp, timeout: 5s}\n  \
        tls: {prober: tcp, timeout: 5s, tcp: {tls: true}}\n"
        .to_owned();
    let all = inventory.devices().iter().filter_map(|d| d.checks.as_ref());
    let names: BTreeSet<&str> = all.flat_map(|c| &c.dns).map(|name| &**name).collect();
    for name in names {
        // Letters, digits, dots, - and _ need no escape between quotes.
        let _ = writeln!(
            text,
            "  \"dns_{name}\": {{prober: dns, timeout: 5s, dns: {{query_name: \"{name}\", query_type: A, \
             validate_answer_rrs: {{fail_if_none_matches_regexp: [\"IN\\\\s+A\\\\s\"]}}}}}}"
        );
    }
    text
}
