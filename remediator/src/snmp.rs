//! Numbers of SNMP, asked of a device at this moment by way of sotp-snmp, which has the credentials and the bounds.
//!
//! What comes back is the text format of Prometheus; of it one sample is looked for.

use std::collections::BTreeMap;

use inventory::Device;
use promapi::Pages;

/// What is asked of a device: one sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// Name of the series, as `snmp.yml` has it: `ifAdminStatus`.
    pub name: String,
    /// Labels that the sample has; it may have others.
    pub labels: BTreeMap<String, String>,
    /// The module of `snmp.yml` that brings it.
    pub module: String,
}

impl std::fmt::Display for Series {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let labels: Vec<String> = self
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        write!(f, "SNMP {}{{{}}}", self.name, labels.join(","))
    }
}

/// Asks the device now; `None` when it has no such sample, or more than one.
///
/// # Errors
/// Why there is no answer.
pub async fn ask(pages: &Pages, device: &Device, series: &Series) -> Result<Option<f64>, String> {
    let Some(snmp) = &device.snmp else {
        return Err("the inventory does not say how the device is asked by SNMP".to_owned());
    };
    let host = device.address.to_string();
    let target = match host.contains(':') {
        true => format!("[{host}]:{}", snmp.port),
        false => format!("{host}:{}", snmp.port),
    };
    let mut query = vec![("target", &*target), ("module", &*series.module)];
    query.extend(snmp.auth.as_deref().map(|auth| ("auth", auth)));
    let (code, body) = pages
        .get(&["snmp"], &query)
        .await
        .map_err(|error| format!("sotp-snmp: {error}"))?;
    if code != 200 {
        return Err(format!("sotp-snmp answered {code}"));
    }
    let text = String::from_utf8_lossy(&body);
    Ok(single(&text, series))
}

/// The one sample of the page that is meant; none or several are none.
fn single(page: &str, series: &Series) -> Option<f64> {
    let mut found = page.lines().filter_map(|line| sample(line, series));
    let value = found.next()?;
    found.next().is_none().then_some(value)
}

/// The value of a line, when it is a sample that is meant.
fn sample(line: &str, series: &Series) -> Option<f64> {
    let rest = line.strip_prefix(&*series.name)?;
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    let mut words = rest.strip_prefix(' ')?.split_ascii_whitespace();
    let value = words.next()?.parse().ok()?;
    let wanted = |(name, value): (&String, &String)| labels.get(name) == Some(value);
    series.labels.iter().all(wanted).then_some(value)
}

/// Labels up to the brace that ends them, and what stands behind it.
fn labels(mut text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        text = text.trim_start_matches([',', ' ']);
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, rest) = text.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = rest.char_indices();
        let end = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => match chars.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, other) => value.push(other),
            }
        };
        labels.insert(name.to_owned(), value);
        text = &rest[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# HELP ifAdminStatus The desired state of the interface\n# TYPE ifAdminStatus gauge\n\
        ifAdminStatus{ifAlias=\"to \\\"r7\\\", x=1}\",ifIndex=\"2\",ifName=\"eth0\"} 2\n\
        ifAdminStatus{ifAlias=\"\",ifIndex=\"3\",ifName=\"eth0.10\"} 1\n\
        ifAdminStatusX{ifName=\"eth9\"} 7\nsysUpTime 123 1700000000\n\
        ifAdminStatus{ifName=\"twice\"} 1\nifAdminStatus{ifIndex=\"9\",ifName=\"twice\"} 2\nifAdminStatus{ifName=\"cut";

    fn of(name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let series = Series {
            name: name.to_owned(),
            labels: labels
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            module: "if_mib".to_owned(),
        };
        single(PAGE, &series)
    }

    #[test]
    fn one_sample_is_found_among_its_neighbours_and_two_are_none() {
        assert_eq!(of("ifAdminStatus", &[("ifName", "eth0")]), Some(2.0));
        assert_eq!(of("ifAdminStatus", &[("ifName", "eth0.10")]), Some(1.0));
        assert_eq!(
            of("ifAdminStatus", &[("ifAlias", "to \"r7\", x=1}")]),
            Some(2.0)
        );
        assert_eq!(of("sysUpTime", &[]), Some(123.0));
        for (name, labels) in [
            ("ifAdminStatus", &[("ifName", "twice")][..]),
            ("ifAdminStatus", &[("ifName", "eth")]),
            ("ifAdminStatus", &[("ifName", "eth9")]),
            ("ifAdminStatus", &[("ifName", "cut")]),
            ("ifAdminStatus", &[("ifName", "eth0"), ("ifIndex", "3")]),
            ("ifAdmin", &[]),
            ("sysUpTime", &[("ifName", "eth0")]),
        ] {
            assert_eq!(of(name, labels), None, "{name} {labels:?}");
        }
    }
}
