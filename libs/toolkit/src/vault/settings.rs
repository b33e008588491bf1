//! Where Vault is and how a service logs in to it.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

/// Where a pod finds the token of its ServiceAccount.
const POD_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/// Time from one reading to the next where nothing else is said.
const REFRESH: u64 = 10;

/// What the environment says.
#[derive(Debug)]
pub(super) struct Settings {
    /// Ends with `/v1/`.
    pub(super) base: Url,
    pub(super) ca: Option<PathBuf>,
    pub(super) namespace: Option<String>,
    pub(super) login: Login,
    pub(super) refresh: Duration,
}

/// How a token is come by.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Login {
    /// A file that somebody else, such as Vault's agent, keeps fresh.
    Token(PathBuf),
    /// `POST auth/MOUNT/login` with these fields, of which one is the content of a file.
    With {
        mount: String,
        fixed: (&'static str, String),
        file: (&'static str, PathBuf),
    },
}

impl Settings {
    /// What these variables say; no secret is one of them, only files with secrets.
    ///
    /// # Errors
    /// One is missing or cannot be honoured.
    pub(super) fn from_environment(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let get = |name: &str| variable(name).filter(|value| !value.is_empty());
        let address = get("VAULT_ADDR").ok_or("expected the address of Vault in VAULT_ADDR")?;
        let base = Url::parse(&format!("{}/v1/", address.trim_end_matches('/')))
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .filter(|url| url.username().is_empty() && url.password().is_none())
            .filter(|url| url.query().is_none() && url.fragment().is_none())
            .ok_or("VAULT_ADDR: expected an http or https address without user and password")?;
        let mount = |usual: &str| {
            let mount = get("VAULT_AUTH_MOUNT").unwrap_or_else(|| usual.to_owned());
            mount.trim_matches('/').to_owned()
        };
        let login = match (
            get("VAULT_TOKEN_FILE"),
            get("VAULT_ROLE_ID"),
            get("VAULT_KUBERNETES_ROLE"),
        ) {
            (Some(file), None, None) => Login::Token(file.into()),
            (None, Some(role), None) => Login::With {
                mount: mount("approle"),
                fixed: ("role_id", role),
                file: (
                    "secret_id",
                    get("VAULT_SECRET_ID_FILE")
                        .ok_or("expected VAULT_SECRET_ID_FILE beside VAULT_ROLE_ID")?
                        .into(),
                ),
            },
            (None, None, Some(role)) => Login::With {
                mount: mount("kubernetes"),
                fixed: ("role", role),
                file: (
                    "jwt",
                    get("VAULT_KUBERNETES_TOKEN_FILE")
                        .unwrap_or_else(|| POD_TOKEN.to_owned())
                        .into(),
                ),
            },
            _ => {
                return Err(
                    "expected one of VAULT_TOKEN_FILE, VAULT_ROLE_ID and VAULT_KUBERNETES_ROLE"
                        .to_owned(),
                );
            }
        };
        let refresh = match get("VAULT_REFRESH_SECONDS") {
            None => REFRESH,
            Some(text) => text
                .parse()
                .ok()
                .filter(|seconds| (1..=3_600).contains(seconds))
                .ok_or("VAULT_REFRESH_SECONDS: expected 1 to 3600")?,
        };
        Ok(Self {
            base,
            ca: get("VAULT_CACERT").map(PathBuf::from),
            namespace: get("VAULT_NAMESPACE"),
            login,
            refresh: Duration::from_secs(refresh),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::from_environment(|name| {
            let found = variables.iter().find(|(own, _)| *own == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_says_where_and_how() {
        let address = ("VAULT_ADDR", "https://vault.example.net:8200/");
        let read_good = |login: &[(&str, &str)]| {
            let all: Vec<_> = [address].into_iter().chain(login.iter().copied()).collect();
            read(&all).unwrap()
        };
        let role = read_good(&[("VAULT_ROLE_ID", "r"), ("VAULT_SECRET_ID_FILE", "/s")]);
        assert_eq!(role.base.as_str(), "https://vault.example.net:8200/v1/");
        assert_eq!(role.refresh, Duration::from_secs(10));
        let with = |mount: &str, fixed, file: (&'static str, &str)| Login::With {
            mount: mount.to_owned(),
            fixed,
            file: (file.0, file.1.into()),
        };
        let own = with("approle", ("role_id", "r".to_owned()), ("secret_id", "/s"));
        assert_eq!(role.login, own);
        let pod = read_good(&[
            ("VAULT_KUBERNETES_ROLE", "sotp"),
            ("VAULT_AUTH_MOUNT", "k8s/"),
        ]);
        let own = with("k8s", ("role", "sotp".to_owned()), ("jwt", POD_TOKEN));
        assert_eq!(pod.login, own);
        let agent = read_good(&[("VAULT_TOKEN_FILE", "/t"), ("VAULT_ROLE_ID", "")]);
        assert_eq!(agent.login, Login::Token("/t".into()));
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        let address = ("VAULT_ADDR", "http://127.0.0.1:8200");
        let token = ("VAULT_TOKEN_FILE", "/t");
        for (variables, expected) in [
            (vec![token], "expected the address of Vault in VAULT_ADDR"),
            (vec![("VAULT_ADDR", "vault:8200"), token], "VAULT_ADDR: "),
            (
                vec![("VAULT_ADDR", "http://u:p@vault"), token],
                "VAULT_ADDR: ",
            ),
            (vec![address], "expected one of VAULT_TOKEN_FILE"),
            (
                vec![address, token, ("VAULT_ROLE_ID", "r")],
                "expected one of",
            ),
            (
                vec![address, ("VAULT_ROLE_ID", "r")],
                "expected VAULT_SECRET_ID_FILE",
            ),
            (
                vec![address, token, ("VAULT_REFRESH_SECONDS", "0")],
                "VAULT_REFRESH_SECONDS: ",
            ),
        ] {
            let error = read(&variables).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
