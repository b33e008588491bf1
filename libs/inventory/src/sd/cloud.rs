//! Resources of clouds: the configuration of YACE.

use std::fmt::Write as _;

use crate::model::Inventory;

/// What is asked of each database, `metric` of the namespace `AWS/RDS`.
const METRICS: [&str; 4] = [
    "CPUUtilization",
    "FreeStorageSpace",
    "FreeableMemory",
    "DatabaseConnections",
];

/// The configuration of YACE with a static job for each database of the inventory, which carries its labels as tags.
///
/// Source: `docs/configuration.md` of <https://github.com/prometheus-community/yet-another-cloudwatch-exporter>.
#[must_use]
pub fn yace(inventory: &Inventory) -> String {
    let mut text =
        "# YACE for the cloud resources of the inventory. Credentials come from the role of its pod or machine.\n\
         apiVersion: v1alpha1\n"
            .to_owned();
    let mut header = Some("static:\n");
    for device in inventory.devices() {
        let Some(cloud) = &device.cloud else { continue };
        text.push_str(header.take().unwrap_or_default());
        // Names of the inventory need no escape between quotes.
        let _ = writeln!(
            text,
            "  - name: \"{device}\"\n    namespace: AWS/RDS\n    regions: [\"{region}\"]\n    \
             dimensions: [{{name: DBInstanceIdentifier, value: \"{rds}\"}}]\n    customTags: [{{key: device, value: \"{device}\"}}, \
             {{key: site, value: \"{site}\"}}, {{key: role, value: \"{role}\"}}]\n    metrics:",
            device = device.name,
            region = cloud.region,
            rds = cloud.rds,
            site = device.site,
            role = device.role,
        );
        for metric in METRICS {
            let _ = writeln!(
                text,
                "      - {{name: {metric}, statistics: [Average], period: 60, length: 300}}"
            );
        }
    }
    text
}
