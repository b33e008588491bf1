//! Clients whose certificates are renewed under them: files are read again when they change, without a reload of the configuration.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Certificate, Identity};

/// Time between two looks at the files.
const LOOK: Duration = Duration::from_secs(1);

/// The files of a client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientFiles {
    /// PEM certificates that the server's must lead to; `None`: those of the system.
    pub authority: Option<PathBuf>,
    /// PEM certificate chain of the client, and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// What the files hold.
#[derive(Debug)]
pub struct ClientCertificates {
    /// Authorities to trust in place of those of the system.
    pub authority: Option<Vec<Certificate>>,
    /// With what the client shows who it is.
    pub identity: Option<Identity>,
}

/// Why there is no client.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientFilesError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// A file holds something else.
    #[error("{}: expected {expected} in PEM", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What was expected.
        expected: &'static str,
    },
    /// The client cannot be made.
    #[error("the client cannot be set up")]
    Build(#[source] Arc<reqwest::Error>),
}

/// What the files held when they were read, in their order.
type Content = Vec<Vec<u8>>;

struct Kept<C> {
    looked: Instant,
    content: Content,
    client: C,
}

/// Makes a client of what the files hold.
type Build<C> = dyn Fn(ClientCertificates) -> reqwest::Result<C> + Send + Sync;

/// A client that is made anew when one of its files changes. While files are being replaced, or do not fit together, the one of before
/// is given. Clones share it.
pub struct Renewing<C>(Arc<Inner<C>>);

struct Inner<C> {
    files: ClientFiles,
    build: Box<Build<C>>,
    kept: Mutex<Kept<C>>,
}

impl<C> Clone for Renewing<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> std::fmt::Debug for Renewing<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Renewing").field(&self.0.files).finish()
    }
}

impl<C: Clone + 'static> Renewing<C> {
    /// A client of these files; `build` runs here and after each change.
    ///
    /// # Errors
    /// A file cannot be read or is not what it should be, or the client cannot be made.
    pub fn new(
        files: ClientFiles,
        build: impl Fn(ClientCertificates) -> reqwest::Result<C> + Send + Sync + 'static,
    ) -> Result<Self, ClientFilesError> {
        // An error says that it was done before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let build: Box<Build<C>> = Box::new(build);
        let kept = files.made(&build, files.read()?)?;
        Ok(Self(Arc::new(Inner {
            files,
            build,
            kept: Mutex::new(kept),
        })))
    }

    /// The client of the files as they are now, to a second.
    #[must_use]
    pub fn current(&self) -> C {
        let Inner { files, build, kept } = &*self.0;
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.looked.elapsed() >= LOOK {
            kept.looked = Instant::now();
            let renewed = files.read().and_then(|content| {
                (content != kept.content)
                    .then(|| files.made(build, content))
                    .transpose()
            });
            match renewed {
                Ok(Some(new)) => *kept = new,
                Ok(None) => {}
                Err(error) => {
                    let error = crate::chain(&error);
                    tracing::warn!(error, "certificates were not renewed");
                }
            }
        }
        kept.client.clone()
    }
}

impl ClientFiles {
    /// The files that the keys `ca_file`, `cert_file` and `key_file` of a section name, relative to `base`.
    ///
    /// # Errors
    /// A certificate without its key, or a key without its certificate: what was expected at `cert_file`.
    pub fn below(
        base: &Path,
        [authority, certificate, key]: [&Option<PathBuf>; 3],
    ) -> Result<Self, &'static str> {
        let identity = match (certificate, key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((base.join(certificate), base.join(key))),
            _ => return Err("expected cert_file and key_file together"),
        };
        Ok(Self {
            authority: authority.as_ref().map(|file| base.join(file)),
            identity,
        })
    }

    fn made<C: 'static>(
        &self,
        build: &Build<C>,
        content: Content,
    ) -> Result<Kept<C>, ClientFilesError> {
        let client = build(self.parsed(&content)?);
        let client = client.map_err(|error| ClientFilesError::Build(Arc::new(error)))?;
        Ok(Kept {
            looked: Instant::now(),
            content,
            client,
        })
    }

    fn read(&self) -> Result<Content, ClientFilesError> {
        let own = self.identity.iter().flat_map(|(chain, key)| [chain, key]);
        let read = |path: &PathBuf| {
            crate::read_secret(path).map_err(|source| ClientFilesError::Read {
                path: path.clone(),
                source: Arc::new(source),
            })
        };
        self.authority.iter().chain(own).map(read).collect()
    }

    fn parsed(&self, content: &Content) -> Result<ClientCertificates, ClientFilesError> {
        let wrong = |path: &PathBuf, expected| ClientFilesError::Form {
            path: path.clone(),
            expected,
        };
        let mut content = content.iter();
        let authority = self.authority.as_ref().map(|path| {
            let pem = content.next().map_or(&[][..], Vec::as_slice);
            Certificate::from_pem_bundle(pem)
                .ok()
                .filter(|list| !list.is_empty())
                .ok_or_else(|| wrong(path, "certificates"))
        });
        let identity = self.identity.as_ref().map(|(chain, _)| {
            let pem: Vec<u8> = content.flat_map(|pem| [pem, &b"\n"[..]].concat()).collect();
            Identity::from_pem(&pem).map_err(|_| wrong(chain, "a certificate chain and its key"))
        });
        Ok(ClientCertificates {
            authority: authority.transpose()?,
            identity: identity.transpose()?,
        })
    }
}

impl ClientCertificates {
    /// A builder of an asynchronous client with them.
    pub fn client(self, mut builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        if let Some(authority) = self.authority {
            builder = builder.tls_certs_only(authority);
        }
        if let Some(identity) = self.identity {
            builder = builder.identity(identity);
        }
        builder
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["x".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    #[test]
    fn a_certificate_and_its_key_are_named_together() {
        let below = |names: [Option<&str>; 3]| {
            let names = names.map(|name| name.map(PathBuf::from));
            ClientFiles::below(Path::new("/etc/x"), names.each_ref())
        };
        assert_eq!(below([None; 3]), Ok(ClientFiles::default()));
        let whole = below([Some("ca"), Some("own"), Some("/keys/own")]).unwrap();
        let near = Path::new("/etc/x");
        assert_eq!(whole.authority, Some(near.join("ca")));
        let identity = (near.join("own"), PathBuf::from("/keys/own"));
        assert_eq!(whole.identity, Some(identity));
        for half in [[None, Some("own"), None], [Some("ca"), None, Some("own")]] {
            assert_eq!(below(half), Err("expected cert_file and key_file together"));
        }
    }

    /// A pair that does not belong together, as halfway through a renewal, leaves the client of before; the whole one makes a new client.
    #[test]
    fn a_client_is_renewed_with_its_files_and_never_by_half() {
        let place = testkit::TempDir::new().unwrap();
        let (first, second) = (pair(), pair());
        let write = |name: &str, text: &str| place.write(name, text).unwrap();
        let files = ClientFiles {
            authority: Some(write("ca.pem", &first.0)),
            identity: Some((write("own.pem", &first.0), write("own.key", &first.1))),
        };
        let made = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&made);
        let client = Renewing::new(files.clone(), move |certificates| {
            // As a client of reqwest does, which refuses a key of another certificate only when it is built.
            certificates.client(reqwest::Client::builder()).build()?;
            let mut made = counted.lock().unwrap();
            *made += 1;
            Ok(*made)
        })
        .unwrap();
        let after_a_look = || {
            std::thread::sleep(LOOK);
            client.current()
        };
        assert_eq!((client.current(), after_a_look()), (1, 1));
        write("own.pem", &second.0);
        assert_eq!(after_a_look(), 1);
        std::fs::remove_file(place.join("own.key")).unwrap();
        assert_eq!(after_a_look(), 1);
        write("own.key", &second.1);
        assert_eq!(after_a_look(), 2);

        let error = |files: ClientFiles| {
            let made = Renewing::new(files, |_| Ok(())).unwrap_err();
            crate::chain(&made)
        };
        write("ca.pem", "nothing");
        assert!(error(files.clone()).ends_with("ca.pem: expected certificates in PEM"));
        let gone = ClientFiles {
            authority: Some(place.join("gone.pem")),
            identity: None,
        };
        assert!(error(gone).contains("gone.pem: No such file"), "the cause");
    }
}
