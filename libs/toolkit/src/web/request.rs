//! A request as a handler sees it.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, COOKIE, Entry, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use tokio::time::Instant;

use super::ClientCertificate;

/// A whole request: head and bounded body.
#[derive(Debug, Clone)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) params: HashMap<String, String>,
    pub(crate) peer: String,
    pub(crate) user: Option<String>,
    pub(crate) certificate: Option<Arc<ClientCertificate>>,
    pub(crate) deadline: Option<Instant>,
}

impl Request {
    /// A request made by hand: for tests of a handler.
    ///
    /// # Errors
    /// `uri` is not a path with an optional query.
    pub fn new(
        method: Method,
        uri: &str,
        body: impl Into<Bytes>,
    ) -> Result<Self, http::uri::InvalidUri> {
        Ok(Self {
            method,
            uri: uri.parse()?,
            headers: HeaderMap::new(),
            body: body.into(),
            params: HashMap::new(),
            peer: String::new(),
            user: None,
            certificate: None,
            deadline: None,
        })
    }

    /// Adds a header field: for tests of a handler.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Makes it a request of this user of the web configuration: for tests of a handler.
    #[must_use]
    pub fn with_user(mut self, name: impl Into<String>) -> Self {
        self.user = Some(name.into());
        self
    }

    /// Makes it a request over a connection with this verified certificate: for tests of a handler.
    #[must_use]
    pub fn with_client_certificate(mut self, certificate: ClientCertificate) -> Self {
        self.certificate = Some(Arc::new(certificate));
        self
    }

    /// Makes it a request that must be answered by then: for tests of a handler.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path and query as they were sent.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The path as it was sent, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// The decoded segment that `{name}` of the route matched.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str)
    }

    /// The first value of a query parameter, decoded.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        self.query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// Every query parameter in order, decoded.
    pub fn query_pairs(&self) -> impl Iterator<Item = (String, String)> + '_ {
        let query = self.uri.query().unwrap_or_default();
        form_urlencoded::parse(query.as_bytes()).into_owned()
    }

    /// The header fields.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The first value of a header field when it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Address of the client, `unix` on a unix socket.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Name of the user that basic authentication let in.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// When the server answers 503 in place of the handler and drops its future (`--web.request-timeout`); `None` for a request made
    /// by hand.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The client certificate of the connection, if it was verified against the authority of the web configuration in force and is
    /// still in its time. One that was only asked for (`RequestClientCert`, `RequireAnyClientCert`) proves nothing and is not here.
    #[must_use]
    pub fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.certificate.as_deref()
    }
}

/// Marks credentials, so that `Debug` of a request does not show them: handlers may log what they are given.
pub(crate) fn conceal(headers: &mut HeaderMap) {
    let token = HeaderName::from_static("x-grafana-id");
    for name in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, token] {
        if let Entry::Occupied(mut values) = headers.entry(name) {
            for value in values.iter_mut() {
                value.set_sensitive(true);
            }
        }
    }
}

/// Percent-decoding, RFC 3986 section 2.1; a broken escape stays as it is, bytes that are not UTF-8 become U+FFFD.
pub(crate) fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn query_is_decoded() {
        let request = Request::new(
            Method::GET,
            "/sd?shard=1&of=3&name=a%20b+c&empty&broken=%zz&shard=2",
            "",
        )
        .unwrap();
        assert_eq!(request.query("shard").as_deref(), Some("1"));
        assert_eq!(request.query("name").as_deref(), Some("a b c"));
        assert_eq!(request.query("empty").as_deref(), Some(""));
        assert_eq!(request.query("broken").as_deref(), Some("%zz"));
        assert_eq!(request.query("none"), None);
        assert_eq!(request.query_pairs().count(), 6);
    }

    #[test]
    fn credentials_are_not_shown() {
        let mut request = Request::new(Method::GET, "/", "").unwrap();
        for name in [AUTHORIZATION, COOKIE, COOKIE, PROXY_AUTHORIZATION] {
            request
                .headers
                .append(name, http::HeaderValue::from_static("hunter2"));
        }
        conceal(&mut request.headers);
        let shown = format!("{request:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert_eq!(request.header("cookie"), Some("hunter2"));
    }

    proptest! {
        #[test]
        fn any_text_is_decoded(text in any::<String>()) {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert_eq!(decode(&encoded), text.clone());
            decode(&text);
        }
    }
}
