//! The web server: metrics, health, reload and the pages of the service.

mod auth;
mod certificate;
mod client_cert;
mod conn;
pub(crate) mod dispatch;
pub(crate) mod incoming;
mod keys;
pub(crate) mod landing;
pub(crate) mod limits;
mod line;
pub(crate) mod listen;
pub(crate) mod live_config;
mod outgoing;
mod rate;
mod request;
pub mod response;
pub(crate) mod router;
pub(crate) mod scrape;
pub(crate) mod serve;
mod tls;
pub(crate) mod workers;

pub use certificate::ClientCertificate;
pub use request::Request;
pub use response::Response;
