//! Accounts on devices.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ssh::Login;
use toolkit::SecretFile;

use super::{Checked, secret};
use crate::session::Account;

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLogins {
    /// Types the lines of runbooks.
    pub(super) repair: RawLogin,
    /// Runs the commands of the console, and may only read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) console: Option<RawLogin>,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLogin {
    /// The user on the device.
    pub(super) user: String,
    /// File with the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password_file: Option<PathBuf>,
    /// File with the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_file: Option<PathBuf>,
    /// File with what `enable` asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    privilege_file: Option<PathBuf>,
}

/// One account; its secrets are read again when their files change.
#[derive(Debug, Clone)]
pub struct Credential {
    user: String,
    password: Option<Arc<SecretFile>>,
    key: Option<Arc<SecretFile>>,
    privilege: Option<Arc<SecretFile>>,
}

impl Credential {
    /// The login as its files have it now.
    ///
    /// # Errors
    /// The key is none.
    pub fn login(&self) -> Result<Login, String> {
        let mut login = Login::new(&self.user);
        if let Some(file) = &self.password {
            login = login.password(file.current());
        }
        if let Some(file) = &self.key {
            // The trailing line end that a secret file leaves out belongs to a key.
            let text = toolkit::Secret::new(format!("{}\n", file.current().reveal()));
            login = login.key(&text, None)?;
        }
        if let Some(file) = &self.privilege {
            login = login.privilege(file.current());
        }
        Ok(login)
    }
}

/// The accounts behind one name of a credential.
#[derive(Debug, Clone)]
pub struct Logins {
    repair: Credential,
    console: Option<Credential>,
}

impl Logins {
    /// The account for a purpose; the console has one of its own or none.
    #[must_use]
    pub fn of(&self, account: Account) -> Option<&Credential> {
        match account {
            Account::Repair => Some(&self.repair),
            Account::Console => self.console.as_ref(),
        }
    }
}

impl RawLogins {
    pub(super) fn check(&self, path: &str, base: &Path) -> Checked<Logins> {
        Ok(Logins {
            repair: self.repair.check(&format!("{path}.repair"), base)?,
            console: self
                .console
                .as_ref()
                .map(|login| login.check(&format!("{path}.console"), base))
                .transpose()?,
        })
    }
}

impl RawLogin {
    fn check(&self, path: &str, base: &Path) -> Checked<Credential> {
        let open = |key: &str, file: &Option<PathBuf>| {
            let open = |file: &PathBuf| secret(&format!("{path}.{key}"), base, file);
            file.as_ref().map(open).transpose()
        };
        if self.password_file.is_none() && self.key_file.is_none() {
            return Err((
                path.to_owned(),
                "expected password_file or key_file".to_owned(),
            ));
        }
        let credential = Credential {
            user: self.user.clone(),
            password: open("password_file", &self.password_file)?,
            key: open("key_file", &self.key_file)?,
            privilege: open("privilege_file", &self.privilege_file)?,
        };
        credential
            .login()
            .map_err(|error| (format!("{path}.key_file"), error))?;
        Ok(credential)
    }
}
