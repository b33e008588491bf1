//! The client.

use std::collections::BTreeMap;
use std::sync::Arc;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde::de::DeserializeOwned;
use toolkit::{Renewing, SecretFile};

use crate::answer::{Frame, Labels, Matrix, Outcome, Series, Vector};

/// Prometheus refuses a range query of more points than these for one series.
const MOST_POINTS: u32 = 11_000;
/// Most questions that one range is cut into: 17 weeks at a point every second, two years at one a minute.
const MOST_PIECES: u32 = 1_000;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody answered in time: the connection failed or ended.
    #[error("no answer from Prometheus: {0}")]
    Unreachable(String),
    /// Prometheus refused the query or could not compute it.
    #[error("Prometheus refused the query ({kind}): {detail}")]
    Refused {
        /// Its kind of error: `bad_data`, `execution`, `timeout`.
        kind: String,
        /// Its words.
        detail: String,
    },
    /// Something else than Prometheus answered, or it wants other credentials.
    #[error("the server answered {code}")]
    Status {
        /// The HTTP status.
        code: u16,
    },
    /// The answer is larger than the configured bound.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    /// The answer is not what the API promises.
    #[error("the answer is not of Prometheus' API: {0}")]
    Unexpected(String),
    /// The range makes no sense: it ends before it begins, has no step, or too many points.
    #[error("not a range: {0}")]
    Range(String),
}

impl Error {
    /// Whether asking again later may help: nothing is wrong with the question.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused { kind, .. } => matches!(&**kind, "timeout" | "internal" | "unavailable"),
            Self::Status { code } => *code >= 500,
            Self::TooLarge(_) | Self::Unexpected(_) | Self::Range(_) => false,
        }
    }
}

/// Points in time: from `start` to `end`, both included, `step` apart; all in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The first point, seconds since the epoch.
    pub start: f64,
    /// No point after it, seconds since the epoch.
    pub end: f64,
    /// From one point to the next, in seconds.
    pub step: f64,
}

impl Range {
    /// The range in pieces that Prometheus answers, which share no point.
    fn pieces(self) -> Result<Vec<Self>, Error> {
        let Self { start, end, step } = self;
        let sound = start.is_finite() && end.is_finite() && step.is_finite();
        if !sound || step < 0.001 || end < start {
            return Err(Error::Range(format!("{start} to {end} by {step}")));
        }
        let length = step * f64::from(MOST_POINTS - 1);
        let stride = step * f64::from(MOST_POINTS);
        if (end - start) / stride > f64::from(MOST_PIECES) {
            return Err(Error::Range(format!("{start} to {end} by {step}")));
        }
        let starts = (0..=MOST_PIECES).map(|piece| start + stride * f64::from(piece));
        Ok(starts
            .take_while(|start| *start <= end)
            .map(|start| Self {
                start,
                end: end.min(start + length),
                step,
            })
            .collect())
    }
}

#[derive(Clone)]
pub(crate) enum Authentication {
    None,
    Basic {
        user: String,
        password: Arc<SecretFile>,
    },
    Bearer(Arc<SecretFile>),
}

/// Requests to one server, with who asks and a bound on the answer.
#[derive(Clone)]
pub(crate) struct Http {
    pub(crate) client: Renewing<reqwest::Client>,
    /// The address without a slash at its end.
    pub(crate) url: String,
    pub(crate) authentication: Authentication,
    pub(crate) max_bytes: usize,
}

impl Http {
    /// The status and the body.
    pub(crate) async fn send(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<(u16, Vec<u8>), Error> {
        let request = match &self.authentication {
            Authentication::None => request,
            Authentication::Basic { user, password } => {
                request.basic_auth(user, Some(password.current().reveal()))
            }
            Authentication::Bearer(token) => request.bearer_auth(token.current().reveal()),
        };
        let mut response = request.send().await.map_err(unreachable)?;
        let code = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > self.max_bytes {
                return Err(Error::TooLarge(self.max_bytes));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((code, body))
    }
}

/// A client of the pages of another service; made by [`Section::pages`](crate::Section::pages). Clones share its connections.
#[derive(Clone)]
pub struct Pages(Http);

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages")
            .field("url", &self.0.url)
            .finish_non_exhaustive()
    }
}

impl Pages {
    pub(crate) fn new(http: Http) -> Self {
        Self(http)
    }

    /// The status and the body of the page at the segments of `path`, each of which is quoted.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn get(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<(u16, Vec<u8>), Error> {
        let mut url = reqwest::Url::parse(&self.0.url)
            .map_err(|error| Error::Unexpected(error.to_string()))?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.0.send(self.0.client.current().get(url)).await
    }
}

/// A client of one server; made by [`Section::client`](crate::Section::client). Clones share its connections.
#[derive(Clone)]
pub struct Prometheus(Http);

impl std::fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prometheus")
            .field("url", &self.0.url)
            .finish_non_exhaustive()
    }
}

impl Prometheus {
    pub(crate) fn new(http: Http) -> Self {
        Self(http)
    }

    /// The value of `query` at `at` (seconds since the epoch), now when it is `None`.
    ///
    /// # Errors
    /// Why there is no answer; a query whose value is text or a range has none.
    pub async fn instant(&self, query: &str, at: Option<f64>) -> Result<Vector, Error> {
        let mut fields = vec![("query", query.to_owned())];
        fields.extend(at.map(|at| ("time", at.to_string())));
        let (outcome, warnings) = self.ask::<Outcome>("query", &fields).await?;
        let samples = outcome
            .samples()
            .ok_or_else(|| Error::Unexpected("expected an instant vector or scalar".to_owned()))?;
        Ok(Vector { samples, warnings })
    }

    /// The values of `query` over `range`. One of more points than Prometheus answers at once is asked for in pieces.
    ///
    /// # Errors
    /// Why there is no answer to one of the pieces.
    pub async fn range(&self, query: &str, range: Range) -> Result<Matrix, Error> {
        let mut joined: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
        let mut warnings = Vec::new();
        for piece in range.pieces()? {
            let fields = [
                ("query", query.to_owned()),
                ("start", piece.start.to_string()),
                ("end", piece.end.to_string()),
                ("step", piece.step.to_string()),
            ];
            let (outcome, warned) = self.ask::<Outcome>("query_range", &fields).await?;
            let series = outcome
                .series()
                .ok_or_else(|| Error::Unexpected("expected a matrix".to_owned()))?;
            for (labels, points) in series {
                joined.entry(labels).or_default().extend(points);
            }
            warnings.extend(warned);
        }
        warnings.dedup();
        Ok(Matrix {
            series: joined
                .into_iter()
                .map(|(labels, points)| Series { labels, points })
                .collect(),
            warnings,
        })
    }

    /// The samples of `selector` as they are stored, later than `from` and not later than `to` (both milliseconds since the epoch). A
    /// server older than version 3 gives one at `from` too. It is one question: the caller cuts a long time into pieces.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn samples(&self, selector: &str, from: i64, to: i64) -> Result<Matrix, Error> {
        if to <= from {
            return Err(Error::Range(format!("{from} to {to} milliseconds")));
        }
        let at = format!("{}.{:03}", to.div_euclid(1_000), to.rem_euclid(1_000));
        let query = format!("{selector}[{}ms]", to.abs_diff(from));
        let fields = [("query", query), ("time", at)];
        let (outcome, warnings) = self.ask::<Outcome>("query", &fields).await?;
        let series = outcome
            .series()
            .ok_or_else(|| Error::Unexpected("expected a matrix".to_owned()))?;
        Ok(Matrix {
            series: series
                .into_iter()
                .map(|(labels, points)| Series { labels, points })
                .collect(),
            warnings,
        })
    }

    /// The label sets of the series that match one of `selectors` between `start` and `end` (seconds since the epoch).
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn series(
        &self,
        selectors: &[&str],
        start: f64,
        end: f64,
    ) -> Result<Vec<Labels>, Error> {
        let mut fields = vec![("start", start.to_string()), ("end", end.to_string())];
        fields.extend(selectors.iter().map(|one| ("match[]", (*one).to_owned())));
        Ok(self.ask("series", &fields).await?.0)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        fields: &[(&str, String)],
    ) -> Result<(T, Vec<String>), Error> {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        let request = self
            .0
            .client
            .current()
            .post(format!("{}/api/v1/{path}", self.0.url))
            .header(CONTENT_TYPE, form)
            .body(body);
        let (code, body) = self.0.send(request).await?;
        // Prometheus tells with 400, 422 and 503 in the same frame what was wrong.
        let frame: Frame<T> = match serde_json::from_slice(&body) {
            Ok(frame) => frame,
            Err(_) if code != 200 => return Err(Error::Status { code }),
            Err(error) => return Err(Error::Unexpected(error.to_string())),
        };
        match frame.data {
            Some(data) if frame.status == "success" => Ok((data, frame.warnings)),
            _ if frame.status == "error" => Err(Error::Refused {
                kind: frame.error_type,
                detail: frame.error,
            }),
            _ => Err(Error::Status { code }),
        }
    }
}

/// What kept an answer from coming, with its causes and without the address.
fn unreachable(error: reqwest::Error) -> Error {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    Error::Unreachable(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_range_is_cut_into_pieces_that_share_no_point_and_lose_none() {
        let range = Range {
            start: 1_000.0,
            end: 1_000.0 + 60.0 * 43_199.0,
            step: 60.0,
        };
        let pieces = range.pieces().unwrap();
        let counts: Vec<f64> = pieces
            .iter()
            .map(|piece| ((piece.end - piece.start) / 60.0).floor() + 1.0)
            .collect();
        assert!(counts.iter().all(|count| *count <= 11_000.0), "{counts:?}");
        assert!((counts.iter().sum::<f64>() - 43_200.0).abs() < 0.5);
        for pair in pieces.windows(2) {
            assert!((pair[1].start - pair[0].end - 60.0).abs() < 1e-6);
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for (start, end, step) in [
            (10.0, 9.0, 1.0),
            (0.0, 1.0, 0.0),
            (0.0, f64::INFINITY, 1.0),
            (0.0, 1e12, 1.0),
        ] {
            assert!(
                Range { start, end, step }.pieces().is_err(),
                "{start} {end} {step}"
            );
        }
    }
}
