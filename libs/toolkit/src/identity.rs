//! Who a service is and how it was built.

/// The fixed facts of one binary.
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    /// Name of the binary, `sotp-ping`.
    pub name: &'static str,
    /// Title of the landing page, `Ping`.
    pub title: &'static str,
    /// What the service does, in one sentence.
    pub about: &'static str,
    /// Default port of the web server.
    pub port: u16,
    /// `env!("CARGO_PKG_VERSION")` of the binary.
    pub version: &'static str,
    /// Path of its page inside the documentation, `docs/ping.md`.
    pub docs: &'static str,
}

impl Identity {
    /// Commit the binary was built from, or `development`.
    pub const REVISION: &'static str = env!("TOOLKIT_REVISION");
    /// Version of the compiler.
    pub const RUSTC: &'static str = env!("TOOLKIT_RUSTC");
    /// Platform the binary was built for.
    pub const TARGET: &'static str = env!("TOOLKIT_TARGET");

    /// The line that `--version` prints.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { name, version, .. } = self;
        format!(
            "{name} {version} (revision {}, rustc {}, {})",
            Self::REVISION,
            Self::RUSTC,
            Self::TARGET
        )
    }
}
