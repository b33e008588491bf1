//! HTTP clients: one that only ever talks to this machine, one for downloads.

use std::sync::Once;
use std::time::Duration;

use reqwest::Client;

/// A client for URLs on this machine: no proxy, no trust in any certificate authority, short patience.
pub(crate) fn local() -> Client {
    provider();
    Client::builder()
        .no_proxy()
        .tls_certs_only(std::iter::empty())
        .connect_timeout(Duration::from_secs(1))
        .timeout(Duration::from_secs(2))
        .build()
        .expect("a client without certificates, proxies or names to look up has nothing to fail on")
}

/// A client for files of publishers: the system's certificate authorities and proxy variables, few
/// redirects, none of them to plain HTTP when `https_only`.
///
/// # Errors
/// The system has no usable certificate authorities.
pub(crate) fn publishers(https_only: bool) -> reqwest::Result<Client> {
    provider();
    Client::builder()
        .connect_timeout(Duration::from_secs(4))
        .read_timeout(Duration::from_secs(20))
        .redirect(reqwest::redirect::Policy::limited(5))
        .https_only(https_only)
        .build()
}

/// Whether `url` answers 2xx now.
pub(crate) async fn answers(client: &Client, url: &str) -> bool {
    matches!(client.get(url).send().await, Ok(answer) if answer.status().is_success())
}

/// What `url` answers, when it answers 2xx.
pub(crate) async fn text(client: &Client, url: &str) -> Option<String> {
    let answer = client.get(url).send().await.ok()?;
    answer.error_for_status().ok()?.text().await.ok()
}

fn provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error says that one is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
