//! What an answer of Loki means for the entries that were sent.

use std::time::{Duration, SystemTime};

/// What to do with a request after its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is stored.
    Stored,
    /// The same request may succeed later; not before the given time.
    Retry(Option<Duration>),
    /// No retry will mend it and the entries are not at fault: keep them and call for help.
    Hold(&'static str),
    /// At least one entry is at fault.
    Refused,
    /// It is too large as a whole.
    TooLarge,
}

/// The meaning of a status code, the value of `Retry-After` and the beginning of the body.
#[must_use]
pub fn classify(status: u16, retry_after: Option<&str>, body: &str) -> Verdict {
    match status {
        204 => Verdict::Stored,
        // The default of `block_ingestion_status_code`: a success that stored nothing.
        260 => Verdict::Hold("blocked"),
        // Loki says 204. A 200 may be a blocked ingestion or a proxy's own page.
        200..=299 => Verdict::Hold("unexpected_success"),
        408 | 425 | 429 | 500..=599 => Verdict::Retry(retry_after.and_then(wait)),
        413 => Verdict::TooLarge,
        // A fault of the set-up that comes as 400: every entry would be refused.
        400 if body.contains("no org id") => Verdict::Hold("unauthorized"),
        400 if body.contains("structured metadata") && body.contains("disallowed") => {
            Verdict::Hold("metadata_disallowed")
        }
        400 | 422 => Verdict::Refused,
        401 => Verdict::Hold("unauthorized"),
        403 => Verdict::Hold("forbidden"),
        404 => Verdict::Hold("not_found"),
        300..=399 => Verdict::Hold("redirected"),
        _ => Verdict::Hold("unexpected_status"),
    }
}

/// Longest pause that a server may ask for.
const LONGEST: Duration = Duration::from_secs(600);

/// `Retry-After` as seconds or as a date (RFC 9110, 10.2.3).
fn wait(value: &str) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds).min(LONGEST));
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(value)
        .ok()?;
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(at.as_second()).ok()?);
    Some(
        at.duration_since(SystemTime::now())
            .unwrap_or_default()
            .min(LONGEST),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_meaning() {
        for (status, expected) in [
            (204, Verdict::Stored),
            (200, Verdict::Hold("unexpected_success")),
            (260, Verdict::Hold("blocked")),
            (301, Verdict::Hold("redirected")),
            (400, Verdict::Refused),
            (401, Verdict::Hold("unauthorized")),
            (403, Verdict::Hold("forbidden")),
            (404, Verdict::Hold("not_found")),
            (405, Verdict::Hold("unexpected_status")),
            (413, Verdict::TooLarge),
            (429, Verdict::Retry(None)),
            (500, Verdict::Retry(None)),
            (503, Verdict::Retry(None)),
        ] {
            assert_eq!(classify(status, None, ""), expected, "{status}");
        }
        assert_eq!(
            classify(400, None, "no org id"),
            Verdict::Hold("unauthorized")
        );
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        assert_eq!(
            classify(429, Some("7"), ""),
            Verdict::Retry(Some(Duration::from_secs(7)))
        );
        assert_eq!(
            classify(429, Some("99999"), ""),
            Verdict::Retry(Some(LONGEST))
        );
        assert_eq!(classify(503, Some("soon"), ""), Verdict::Retry(None));
        assert_eq!(
            classify(503, Some("Sun, 06 Nov 1994 08:49:37 GMT"), ""),
            Verdict::Retry(Some(Duration::ZERO))
        );
        assert_eq!(
            classify(503, Some("Sat, 06 Nov 2494 08:49:37 GMT"), ""),
            Verdict::Retry(Some(LONGEST))
        );
    }
}
