//! What services need to ask the routers of a lab.

use std::path::{Path, PathBuf};

use super::{Error, Lab};
use crate::files::file;
use crate::node::place::folder;

impl Lab {
    /// The private key of every account on the routers of this lab, and the file of their host keys.
    pub(crate) fn ssh_files(&self) -> [PathBuf; 2] {
        [self.state.ssh_key(), self.state.known_hosts()]
    }

    /// Writes a configuration of the SNMP exporter below `folder`, with the credentials of this lab in files of their own, and
    /// returns its path. It names no modules, so that the exporter's own are used.
    pub(crate) fn snmp_config(&self, state: &Path) -> Result<PathBuf, Error> {
        let secret = self.credentials()?;
        let at = state.join("snmp");
        folder(&at, 0o700).map_err(|error| Error::state(&at, error))?;
        let write = |name: &str, text: &str| {
            let path = at.join(name);
            file(&path, text, 0o600).map_err(|error| Error::state(&path, error))?;
            Ok::<_, Error>(path)
        };
        write("password", &secret.snmp_auth_password)?;
        write("priv_password", &secret.snmp_privacy_password)?;
        write("community", &secret.snmp_community)?;
        let text = format!(
            "# Written anew at each start by `sotp-lab`.\n\
             auths:\n  \
               lab_v3:\n    \
                 version: 3\n    \
                 security_level: authPriv\n    \
                 username: {}\n    \
                 auth_protocol: SHA\n    \
                 password_file: password\n    \
                 priv_protocol: AES\n    \
                 priv_password_file: priv_password\n  \
               lab_v2:\n    \
                 version: 2\n    \
                 community_file: community\n",
            secret.user
        );
        write("snmp.yml", &text)
    }
}
