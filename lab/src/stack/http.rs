//! HTTP clients: one that only ever talks to this machine, one for downloads.

use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::Client;

use super::tls::Certificates;

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

/// The client of the launcher for parts that it starts: it shows its certificate where there are such.
pub(crate) fn of_launcher(certificates: Option<&Certificates>) -> Client {
    let known = certificates.map(|it| known(&it.launcher()));
    match known {
        Some(Ok(client)) => client,
        Some(Err(error)) => {
            eprintln!("the launcher's own certificate: {error:#}");
            local()
        }
        None => local(),
    }
}

/// The same as a part that shows its certificate and trusts the authority of the stack.
///
/// # Errors
/// A file cannot be read or is not what it should be.
fn known(files: &certs::Files) -> anyhow::Result<Client> {
    provider();
    let read = |path: &Path| std::fs::read(path).with_context(|| path.display().to_string());
    let mut pem = read(&files.certificate)?;
    pem.extend(read(&files.key)?);
    Ok(Client::builder()
        .no_proxy()
        .tls_certs_only(reqwest::Certificate::from_pem_bundle(&read(
            &files.authority,
        )?)?)
        .identity(reqwest::Identity::from_pem(&pem)?)
        .connect_timeout(Duration::from_secs(1))
        .timeout(Duration::from_secs(2))
        .build()?)
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

/// Makes ring the process' provider of cryptography, once.
pub(super) fn provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error says that one is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
