//! `POST /collect`: who may post, what is read of it, and what is answered.
//!
//! Faro drops a batch on any answer but 202, and waits on 429 as long as `Retry-After` says.

use std::io::Read as _;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use flate2::read::GzDecoder;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, CONTENT_ENCODING, HeaderName, HeaderValue, ORIGIN, RETRY_AFTER, VARY,
};
use http::{HeaderMap, StatusCode};
use loki::Lines;
use toolkit::{Live, Request, Response, web::response};

use crate::config::Config;
use crate::exception::Fault;
use crate::metrics::lock;
use crate::payload::{Payload, TraceOf};
use crate::rate::Rate;
use crate::route::route;
use crate::spans::{Spans, Traces};
use crate::statistics::{Ending, Item, Statistics};
use crate::vital::Vital;

/// Seconds after which a browser may come again.
const LATER: HeaderValue = HeaderValue::from_static("10");
/// What the SDK sends beyond what every page may.
const HEADERS: HeaderValue =
    HeaderValue::from_static("content-type, content-encoding, x-api-key, x-faro-session-id");
/// Seconds for which a browser need not ask again.
const REMEMBERED: HeaderValue = HeaderValue::from_static("600");

/// Takes what browsers post.
pub(crate) struct Collector {
    pub(crate) live: Live<Config>,
    pub(crate) statistics: Arc<Mutex<Statistics>>,
    pub(crate) rate: Rate,
    pub(crate) lines: Option<Lines>,
    pub(crate) spans: Arc<Spans>,
}

impl Collector {
    /// The origin, when it may post.
    fn origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut all = headers.get_all(ORIGIN).iter();
        let origin = all.next().filter(|_| all.next().is_none())?;
        let named = |known: &String| known.as_bytes() == origin.as_bytes();
        self.live
            .current()
            .origins
            .iter()
            .any(named)
            .then(|| origin.clone())
    }

    /// What a browser asks before it posts to another origin (Fetch standard, CORS preflight).
    pub(crate) fn preflight(&self, request: &Request) -> Response {
        let Some(origin) = self.origin(request.headers()) else {
            return vary(response::text(
                StatusCode::FORBIDDEN,
                "this origin is not named in origins",
            ));
        };
        let mut answer = response::new(StatusCode::NO_CONTENT, "text/plain", "");
        for (name, value) in [
            (
                ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static("POST"),
            ),
            (ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
            (ACCESS_CONTROL_MAX_AGE, REMEMBERED),
        ] {
            answer.headers_mut().insert(name, value);
        }
        allowed(answer, origin)
    }

    /// A post.
    pub(crate) fn post(&self, request: &Request) -> Response {
        let Some(origin) = self.origin(request.headers()) else {
            lock(&self.statistics).ended(Ending::Origin);
            return vary(response::text(
                StatusCode::FORBIDDEN,
                "this origin is not named in origins",
            ));
        };
        let ending = self.take(request);
        lock(&self.statistics).ended(ending);
        let (status, text) = match ending {
            Ending::Taken => (StatusCode::ACCEPTED, "taken"),
            Ending::Origin => (StatusCode::FORBIDDEN, "this origin is not named in origins"),
            Ending::Malformed => (StatusCode::BAD_REQUEST, "expected a payload of Faro"),
            Ending::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "the payload is longer than limits.payload_bytes",
            ),
            Ending::Encoding => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "expected gzip or no encoding",
            ),
            Ending::Rate => (
                StatusCode::TOO_MANY_REQUESTS,
                "too many posts at the moment",
            ),
        };
        let mut answer = response::text(status, text);
        if ending == Ending::Rate {
            answer.headers_mut().insert(RETRY_AFTER, LATER);
        }
        allowed(answer, origin)
    }

    fn take(&self, request: &Request) -> Ending {
        let config = self.live.current();
        if !self.rate.take(config.posts_per_second, Instant::now()) {
            return Ending::Rate;
        }
        let most = config.payload_bytes;
        let encoding = request
            .headers()
            .get(CONTENT_ENCODING)
            .map(HeaderValue::as_bytes);
        let unpacked = match encoding {
            None | Some(b"identity") => request.body().to_vec(),
            Some(b"gzip") => {
                let mut unpacked = Vec::new();
                // One byte more than is allowed tells that it is too much; the rest is never unpacked.
                let mut reader = GzDecoder::new(&request.body()[..]).take(most as u64 + 1);
                if reader.read_to_end(&mut unpacked).is_err() {
                    return Ending::Malformed;
                }
                unpacked
            }
            Some(_) => return Ending::Encoding,
        };
        if unpacked.len() > most {
            return Ending::TooLarge;
        }
        match Payload::parse(&unpacked) {
            Ok(payload) => {
                self.count(&config, payload);
                Ending::Taken
            }
            Err(error) => {
                tracing::debug!(%error, "a post is no payload");
                Ending::Malformed
            }
        }
    }

    fn count(&self, config: &Config, payload: Payload) {
        let mut statistics = lock(&self.statistics);
        let app = statistics.app(&payload.meta.app.name);
        let route = route(&config.routes, &payload.meta.page.url);
        let route = statistics.route(&app, &route, config.most_routes);
        for measurement in &payload.measurements {
            if measurement.kind != "web-vitals" {
                statistics.saw(Item::Measurement, 1);
                continue;
            }
            for vital in Vital::ALL {
                let Some(told) = measurement.values.get(vital.key()) else {
                    continue;
                };
                match vital.value(*told) {
                    Some(value) => {
                        statistics.saw(Item::WebVital, 1);
                        let trace = measurement.trace.as_ref().and_then(TraceOf::id);
                        statistics.observe(vital, (&app, &route), value, trace);
                    }
                    None => statistics.saw(Item::Impossible, 1),
                }
            }
        }
        statistics.saw(Item::Event, payload.events.len());
        statistics.saw(Item::Log, payload.logs.len());
        let begun = payload
            .events
            .iter()
            .filter(|event| event.name == "session_start");
        *statistics.sessions.entry(Arc::clone(&app)).or_insert(0) += begun.count() as u64;
        let spans = payload.traces.as_ref().map_or(0, Traces::len);
        statistics.saw(Item::Span, spans);
        statistics.saw(Item::Exception, payload.exceptions.len());
        *statistics.exceptions.entry(Arc::clone(&app)).or_insert(0) +=
            payload.exceptions.len() as u64;
        drop(statistics);
        let key = config.user_key.as_ref().map(|file| file.current());
        let key = key.as_ref().map(|key| key.reveal().as_bytes());
        for exception in &payload.exceptions {
            let fault = Fault::new(exception, &payload.meta, (&app, &route), key);
            if let Some(lines) = &self.lines
                && !lines.keep(&fault.line())
            {
                tracing::error!("a fault of a page could not be queued");
            }
        }
        if let Some(traces) = payload.traces.filter(|_| config.traces.is_some()) {
            let (body, count) = traces.request(&app, &payload.meta.app.version, &route);
            self.spans.hand_on(body, count);
        }
    }
}

fn vary(mut answer: Response) -> Response {
    answer
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("origin"));
    answer
}

fn allowed(answer: Response, origin: HeaderValue) -> Response {
    let mut answer = vary(answer);
    answer
        .headers_mut()
        .insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    // Faro reads it to begin a new session; this service keeps none and never says that one is over.
    let expose = HeaderName::from_static("access-control-expose-headers");
    answer
        .headers_mut()
        .insert(expose, HeaderValue::from_static("retry-after"));
    answer
}
