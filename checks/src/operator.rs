//! The rules as objects of the Prometheus Operator, written from `alerts/rules`.

use std::fmt::Write as _;
use std::path::Path;

use crate::files;

/// The text of `kustomize/components/prometheus-operator/rules.yaml`: a `PrometheusRule` for each file of rules.
///
/// # Errors
/// Those of reading them.
pub fn rules(root: &Path) -> anyhow::Result<String> {
    let mut text = "# Written by `make tables` from alerts/rules.\n".to_owned();
    for (index, path) in files(&root.join("alerts/rules"), ".yaml")?
        .iter()
        .enumerate()
    {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let _ = write!(
            text,
            "{}apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: sotp-{name}\n  namespace: sotp\n  \
             labels:\n    app.kubernetes.io/part-of: sotp\nspec:\n",
            if index == 0 { "" } else { "---\n" }
        );
        for line in std::fs::read_to_string(path)?.lines() {
            let line = if line.is_empty() {
                String::new()
            } else {
                format!("  {line}")
            };
            let _ = writeln!(text, "{line}");
        }
    }
    Ok(text)
}
