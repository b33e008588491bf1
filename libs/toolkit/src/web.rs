//! The web server: metrics, health, reload and the pages of the service.

pub(crate) mod dispatch;
pub(crate) mod landing;
pub(crate) mod listen;
mod request;
pub mod response;
pub(crate) mod router;
pub(crate) mod scrape;
pub(crate) mod serve;

pub use request::Request;
pub use response::Response;
