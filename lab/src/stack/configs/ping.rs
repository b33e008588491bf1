//! `ping.yaml`.

/// The text of the file for a lab: every path is followed, so that a cut line shows as another way.
pub(crate) const TEXT: &str = "\
# Written anew at each start by `sotp-lab`.
path: {enabled: true, interval: 10s}
";
