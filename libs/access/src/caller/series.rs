//! Series about callers. They belong to the process, not to one loaded configuration.

use std::sync::LazyLock;

use prometheus::{IntCounterVec, IntGauge, opts};

use super::{Denied, Role, Via};

/// Every reason for which a caller is refused: the values of the label `reason`.
pub(crate) const REASONS: &[&str] = &[
    "certificate_not_mapped",
    "cross_site",
    "forbidden",
    "keys_unavailable",
    "no_credentials",
    "role_not_mapped",
    "token_algorithm",
    "token_audience",
    "token_carrier",
    "token_claims",
    "token_expired",
    "token_issuer",
    "token_key",
    "token_lifetime",
    "token_malformed",
    "token_missing",
    "token_not_configured",
    "token_not_of_a_user",
    "token_not_yet_valid",
    "token_signature",
    "token_too_large",
    "token_type",
    "user_not_mapped",
];

pub(crate) struct Series {
    allowed: IntCounterVec,
    denied: IntCounterVec,
    fetches: IntCounterVec,
    keys: IntGauge,
}

#[expect(
    clippy::expect_used,
    reason = "names and labels are constants, and valid"
)]
pub(crate) static SERIES: LazyLock<Series> = LazyLock::new(|| {
    let counter = |name: &str, help: &str, labels: &[&str]| {
        IntCounterVec::new(opts!(name, help), labels).expect("a constant name")
    };
    let series = Series {
        allowed: counter(
            "sotp_callers_allowed_total",
            "Requests let through, by role and by how the caller is known.",
            &["via", "role"],
        ),
        denied: counter(
            "sotp_callers_denied_total",
            "Requests refused because of their caller, by reason.",
            &["reason"],
        ),
        fetches: counter(
            "sotp_grafana_key_fetches_total",
            "Readings of Grafana's signing keys, by result.",
            &["result"],
        ),
        keys: IntGauge::new(
            "sotp_grafana_keys",
            "Signing keys of Grafana that are known.",
        )
        .expect("a constant name"),
    };
    for reason in REASONS {
        series.denied.with_label_values(&[*reason]);
    }
    for via in Via::ALL {
        for role in Role::ALL {
            series
                .allowed
                .with_label_values(&[via.as_str(), role.as_str()]);
        }
    }
    for result in ["good", "failed"] {
        series.fetches.with_label_values(&[result]);
    }
    series
});

impl Series {
    pub(crate) fn fetched(&self, good: bool, keys: usize) {
        let result = if good { "good" } else { "failed" };
        self.fetches.with_label_values(&[result]).inc();
        if good {
            self.keys.set(i64::try_from(keys).unwrap_or(i64::MAX));
        }
    }

    pub(crate) fn allowed(&self, via: Via, role: Role) {
        self.allowed
            .with_label_values(&[via.as_str(), role.as_str()])
            .inc();
    }

    pub(crate) fn denied(&self, denied: &Denied) {
        self.denied.with_label_values(&[denied.reason()]).inc();
    }
}

/// Adds the series about callers to the registry of a service.
///
/// # Errors
/// They are there already.
pub fn register(registry: &prometheus::Registry) -> prometheus::Result<()> {
    for counters in [&SERIES.allowed, &SERIES.denied, &SERIES.fetches] {
        registry.register(Box::new(counters.clone()))?;
    }
    registry.register(Box::new(SERIES.keys.clone()))
}
