//! An account on a device.

use std::sync::Arc;

use russh::MethodKind;
use russh::client::{AuthResult, Handle, Handler, KeyboardInteractiveAuthResponse};
use russh::keys::{Certificate, PrivateKey, PrivateKeyWithHashAlg};
use toolkit::Secret;

use crate::Error;

/// Most rounds of questions that a device may ask in keyboard-interactive login.
const MOST_ROUNDS: usize = 8;

/// An account and what proves it: a key, a password, or both. Each is tried once, so that no account is locked by us.
#[derive(Clone, Debug, Default)]
pub struct Login {
    user: String,
    password: Option<Secret>,
    key: Option<Arc<PrivateKey>>,
    certificate: Option<Certificate>,
    privilege: Option<Secret>,
}

impl Login {
    /// The account `user`, without anything that proves it yet.
    #[must_use]
    pub fn new(user: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            ..Self::default()
        }
    }

    /// With a password, also given to the questions of a keyboard-interactive login.
    #[must_use]
    pub fn password(mut self, password: Secret) -> Self {
        self.password = Some(password);
        self
    }

    /// With a private key (OpenSSH or PEM), `passphrase` where it is encrypted.
    ///
    /// # Errors
    /// The text is no such key, or the passphrase is not the right one.
    pub fn key(mut self, text: &Secret, passphrase: Option<&Secret>) -> Result<Self, String> {
        let key = russh::keys::decode_secret_key(text.reveal(), passphrase.map(Secret::reveal))
            .map_err(|_| {
                "expected a private key in OpenSSH or PEM form, and its passphrase where it has one"
                    .to_owned()
            })?;
        self.key = Some(Arc::new(key));
        Ok(self)
    }

    /// With an OpenSSH certificate of the key.
    ///
    /// # Errors
    /// The text is no such certificate.
    pub fn certificate(mut self, text: &str) -> Result<Self, String> {
        let certificate = Certificate::from_openssh(text)
            .map_err(|_| "expected an OpenSSH certificate, as in id_ed25519-cert.pub".to_owned())?;
        self.certificate = Some(certificate);
        Ok(self)
    }

    /// With the secret that the device asks for before privileged mode (`enable`).
    #[must_use]
    pub fn privilege(mut self, secret: Secret) -> Self {
        self.privilege = Some(secret);
        self
    }

    /// The account.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// With what the platform wants behind the account.
    pub(crate) fn with_suffix(&self, suffix: &str) -> Self {
        let mut login = self.clone();
        login.user.push_str(suffix);
        login
    }

    pub(crate) fn privilege_secret(&self) -> Option<&Secret> {
        self.privilege.as_ref()
    }

    /// Logs in over `handle`.
    pub(crate) async fn prove<H: Handler>(&self, handle: &mut Handle<H>) -> Result<(), Error> {
        let mut tried = Vec::new();
        let mut left = None;
        if let Some(key) = &self.key {
            let result = match &self.certificate {
                Some(certificate) => {
                    tried.push("certificate");
                    handle
                        .authenticate_openssh_cert(&self.user, Arc::clone(key), certificate.clone())
                        .await?
                }
                None => {
                    tried.push("publickey");
                    let hash = if key.algorithm().is_rsa() {
                        handle.best_supported_rsa_hash().await?.flatten()
                    } else {
                        None
                    };
                    let key = PrivateKeyWithHashAlg::new(Arc::clone(key), hash);
                    handle.authenticate_publickey(&self.user, key).await?
                }
            };
            match result {
                AuthResult::Success => return Ok(()),
                AuthResult::Failure {
                    remaining_methods, ..
                } => left = Some(remaining_methods),
            }
        }
        let takes = |method| {
            left.as_ref()
                .is_none_or(|left: &russh::MethodSet| left.contains(&method))
        };
        if let Some(password) = &self.password {
            let mut interactive = takes(MethodKind::KeyboardInteractive);
            if takes(MethodKind::Password) {
                tried.push("password");
                match handle
                    .authenticate_password(&self.user, password.reveal())
                    .await?
                {
                    AuthResult::Success => return Ok(()),
                    // A device that has just refused the password is not asked with it a second time,
                    // unless it says that passwords are none of its methods.
                    AuthResult::Failure {
                        remaining_methods, ..
                    } => {
                        interactive = remaining_methods.contains(&MethodKind::KeyboardInteractive)
                            && !remaining_methods.contains(&MethodKind::Password);
                    }
                }
            }
            if interactive {
                tried.push("keyboard-interactive");
                if self.answer(handle, password).await? {
                    return Ok(());
                }
            }
        }
        Err(Error::Login {
            user: self.user.clone(),
            tried: tried.join(", "),
        })
    }

    /// Gives the password to each question that does not show what is typed, and the account to the others.
    async fn answer<H: Handler>(
        &self,
        handle: &mut Handle<H>,
        password: &Secret,
    ) -> Result<bool, Error> {
        let mut reply = handle
            .authenticate_keyboard_interactive_start(&self.user, None)
            .await?;
        for _ in 0..MOST_ROUNDS {
            match reply {
                KeyboardInteractiveAuthResponse::Success => return Ok(true),
                KeyboardInteractiveAuthResponse::Failure { .. } => return Ok(false),
                KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => {
                    let answers = prompts
                        .iter()
                        .map(|prompt| match prompt.echo {
                            true => self.user.clone(),
                            false => password.reveal().to_owned(),
                        })
                        .collect();
                    reply = handle
                        .authenticate_keyboard_interactive_respond(answers)
                        .await?;
                }
            }
        }
        Ok(false)
    }
}
