//! A real mail server for a test: aiosmtpd behind a certificate of its own.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use testkit::{TempDir, eventually};

/// What the server takes only this from.
pub(crate) const PASSWORD: &str = "correct horse";

/// The running server and its folder.
pub(crate) struct Smtp {
    child: Child,
    pub(crate) dir: TempDir,
    port: u16,
}

/// A mail as it arrived.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mail {
    pub(crate) bytes: Vec<u8>,
    pub(crate) subject: String,
    pub(crate) to: String,
    /// Who it says that it is to.
    pub(crate) names: String,
    /// Its attachments by name.
    pub(crate) files: std::collections::BTreeMap<String, Vec<u8>>,
}

impl Mail {
    pub(crate) fn message_id(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes).into_owned();
        let line = text
            .lines()
            .find(|line| line.starts_with("Message-ID: "))
            .unwrap();
        line.to_owned()
    }
}

/// Writes an authority, `ca.pem`, and what it says is localhost: `cert.pem` and `key.pem`.
pub(crate) fn certificates(dir: &TempDir) {
    let authority = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&authority).unwrap();
    let issuer = Issuer::new(params, authority);
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let own = own.signed_by(&key, &issuer).unwrap();
    dir.write("ca.pem", root.pem()).unwrap();
    dir.write("cert.pem", own.pem()).unwrap();
    dir.write("key.pem", key.serialize_pem()).unwrap();
}

impl Smtp {
    /// Starts it. Debian's Python has the library in the package `python3-aiosmtpd`.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with TLS from the beginning.
    pub(crate) async fn wrapped() -> Self {
        Self::start_with(&["tls"]).await
    }

    async fn start_with(more: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        certificates(&dir);
        dir.write("password", format!("{PASSWORD}\n")).unwrap();
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/smtp.py");
        let child = Command::new("/usr/bin/python3")
            .arg(script)
            .arg(dir.path())
            .args(["cert.pem", "key.pem", "password"].map(|name| dir.join(name)))
            .args(more)
            .stdin(Stdio::piped())
            .stderr(std::fs::File::create(dir.join("log")).unwrap())
            .spawn()
            .unwrap();
        let port = eventually(Duration::from_secs(20), || async {
            let port = std::fs::read_to_string(dir.join("port"));
            Ok(port
                .with_context(|| {
                    let log = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
                    format!("`sotp-lab stack install --tests` installs python3-aiosmtpd\n{log}")
                })?
                .parse()?)
        })
        .await
        .unwrap();
        Self { child, dir, port }
    }

    /// The section of a configuration that sends to it.
    pub(crate) fn section(&self) -> String {
        format!(
            "mail:\n  server: localhost\n  port: {}\n  ca_file: {}\n  user: reporter\n  password_file: {}\n  \
             from: SOTP <sotp@example.net>\n  to: ['Zarząd <zarzad@example.net>', noc@example.net]\n",
            self.port,
            self.dir.join("ca.pem").display(),
            self.dir.join("password").display()
        )
    }

    /// Says what it does with mails from now on.
    pub(crate) fn mode(&self, mode: &str) {
        self.dir.write("mode", mode).unwrap();
    }

    /// What it took, in order.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        let read = |name: &str| std::fs::read(self.dir.join(name)).unwrap();
        let names: Vec<String> = std::fs::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        (1..)
            .take_while(|number| self.dir.join(format!("{number}.eml")).exists())
            .map(|number| {
                let begin = format!("{number}.");
                let own =
                    ["eml", "subject", "to", "names", "part"].map(|end| format!("{begin}{end}"));
                let files = names
                    .iter()
                    .filter(|name| name.starts_with(&begin) && !own.contains(name));
                Mail {
                    bytes: read(&own[0]),
                    subject: String::from_utf8(read(&own[1])).unwrap(),
                    to: String::from_utf8(read(&own[2])).unwrap(),
                    names: String::from_utf8(read(&own[3])).unwrap(),
                    files: files
                        .map(|name| (name[begin.len()..].to_owned(), read(name)))
                        .collect(),
                }
            })
            .collect()
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!(
                "--- mail server\n{}",
                std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
            );
        }
    }
}
