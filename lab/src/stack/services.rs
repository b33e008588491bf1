//! Our own services, from `lab/services.toml`.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use ::services::Table;
pub(crate) use ::services::{Devices, Service};

use super::programs::executable;

/// The inventory service, which others ask.
pub(crate) const INVENTORY: &str = "sotp-inventory";

/// The SNMP exporter, whose configuration a user may name.
pub(crate) const SNMP: &str = "sotp-snmp";

/// Those that the launcher starts.
pub(crate) fn launched() -> impl Iterator<Item = &'static Service> {
    static TABLE: LazyLock<Table> =
        LazyLock::new(|| Table::ours().expect("the table is built in, and a test reads it"));
    TABLE.service.iter().filter(|service| service.launched)
}

/// A binary of ours is not where it should be.
#[derive(Debug, thiserror::Error)]
#[error("no {name} in {}: build it with `cargo build --workspace`, or name its folder with --bin-dir", folder.display())]
pub(crate) struct Missing {
    name: &'static str,
    folder: PathBuf,
}

/// The binary of each service: in `folder`, or beside this program.
///
/// # Errors
/// Names the first that is missing.
pub(crate) fn binaries(folder: Option<&Path>) -> Result<Vec<(&'static Service, PathBuf)>, Missing> {
    let beside = || {
        std::env::current_exe()
            .ok()
            .and_then(|exe| exe.parent().map(Path::to_path_buf))
    };
    let folder = folder
        .map(Path::to_path_buf)
        .or_else(beside)
        .unwrap_or_default();
    let folder = std::path::absolute(&folder).unwrap_or(folder);
    let binary = |service: &'static Service| {
        let path = folder.join(&service.name);
        if executable(&path) {
            Ok((service, path))
        } else {
            Err(Missing {
                name: &service.name,
                folder: folder.clone(),
            })
        }
    };
    launched().map(binary).collect()
}
