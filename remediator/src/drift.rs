//! The way back of a configuration that breaks a rule, by the archive of sotp-ssh-config. It is proposed; nothing of it is typed from here.

use futures_util::future::BoxFuture;
use promapi::Pages;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Versions that are looked through for the one before the breach.
const VERSIONS: &str = "1000";
/// Most lines that are proposed: whoever types more than these loads the earlier configuration whole.
const LINES: usize = 2_000;

/// What the archive says of a device and a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drift {
    /// The rule holds, or somebody answers for it that it does not.
    None(String),
    /// There is nothing to go back to. With what people are told.
    NoWay(String),
    /// The way back.
    Back(WayBack),
}

/// The way back to the last version that kept the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayBack {
    /// What the rule is for.
    pub title: String,
    /// Who made the change that broke it; empty where nobody knows.
    pub by: String,
    /// When, seconds since the epoch.
    pub at: i64,
    /// The newest version, from which the lines lead.
    pub from: String,
    /// The version to which they lead.
    pub to: String,
    /// What is typed in configuration mode, in order.
    pub lines: Vec<String>,
    /// How many of them hold a fingerprint, in the place of which the secret has to be put.
    pub secrets: usize,
}

/// Knows the history of configurations.
pub trait Archive: Send + Sync {
    /// How a device stands to a rule, and the way back.
    fn drift<'a>(&'a self, device: &'a str, rule: &'a str) -> BoxFuture<'a, Result<Drift, String>>;
}

/// No archive is asked.
#[derive(Debug)]
pub struct NoArchive;

impl Archive for NoArchive {
    fn drift<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<Drift, String>> {
        Box::pin(async {
            Err("the configuration names no sotp-ssh-config (ssh_config)".to_owned())
        })
    }
}

#[derive(Deserialize)]
struct Rules {
    rules: Vec<Verdict>,
}

#[derive(Deserialize)]
struct Verdict {
    rule: String,
    title: String,
    #[serde(default)]
    fix: String,
    breaches: Vec<serde_json::Value>,
    introduced: Option<Introduced>,
}

#[derive(Deserialize)]
struct Introduced {
    at: i64,
    by: Option<String>,
    commit: String,
    or_before: bool,
}

#[derive(Deserialize)]
struct Versions {
    versions: Vec<Version>,
}

#[derive(Deserialize)]
struct Version {
    version: String,
}

#[derive(Deserialize)]
struct Restored {
    from: Version,
    to: Version,
    lines: Vec<String>,
    secrets: usize,
}

impl Archive for Pages {
    fn drift<'a>(&'a self, device: &'a str, rule: &'a str) -> BoxFuture<'a, Result<Drift, String>> {
        Box::pin(async move {
            let rules: Rules = found(self, device, "rules", &[])
                .await?
                .map_err(no_answer)?;
            let verdict = rules.rules.into_iter().find(|own| own.rule == rule);
            let Some(verdict) = verdict.filter(|own| !own.breaches.is_empty()) else {
                return Ok(Drift::None(format!("{device} keeps the rule {rule}")));
            };
            let fix = match &*verdict.fix {
                "" => String::new(),
                fix => format!(". The rule says: {fix}"),
            };
            let Some(introduced) = verdict.introduced.filter(|change| !change.or_before) else {
                let why = format!("no version in the archive keeps the rule {rule}{fix}");
                return Ok(Drift::NoWay(why));
            };
            let versions: Versions = found(self, device, "versions", &[("limit", VERSIONS)])
                .await?
                .map_err(no_answer)?;
            // The newest first: the one behind it is the one before it.
            let mut older = versions.versions.into_iter().map(|own| own.version);
            let before = older
                .find(|version| *version == introduced.commit)
                .and_then(|_| older.next());
            let Some(before) = before else {
                let why =
                    format!("the version before the change is not in the archive any more{fix}");
                return Ok(Drift::NoWay(why));
            };
            let restored = found::<Restored>(self, device, "restore", &[("to", &*before)]).await?;
            let restored = match restored {
                Ok(restored) if restored.lines.len() <= LINES => restored,
                Ok(restored) => {
                    let count = restored.lines.len();
                    let why =
                        format!("the way back has {count} lines: load version {before} whole{fix}");
                    return Ok(Drift::NoWay(why));
                }
                Err(409) => {
                    let why = format!(
                        "its configuration cannot be taken back line by line: load version {before} whole{fix}"
                    );
                    return Ok(Drift::NoWay(why));
                }
                Err(code) => return Err(no_answer(code)),
            };
            Ok(Drift::Back(WayBack {
                title: verdict.title,
                by: introduced.by.unwrap_or_default(),
                at: introduced.at,
                from: restored.from.version,
                to: restored.to.version,
                lines: restored.lines,
                secrets: restored.secrets,
            }))
        })
    }
}

fn no_answer(code: u16) -> String {
    match code {
        401 | 403 => format!(
            "sotp-ssh-config answered {code}: expected an account with the verb configuration.read"
        ),
        code => format!("sotp-ssh-config answered {code}"),
    }
}

/// What a page of a device says; the inner error is its status where that is no 200.
async fn found<T: DeserializeOwned>(
    pages: &Pages,
    device: &str,
    page: &str,
    query: &[(&str, &str)],
) -> Result<Result<T, u16>, String> {
    let path = ["api", "v1", "devices", device, page];
    let answer = pages.get(&path, query).await;
    let (code, body) = answer.map_err(|error| format!("sotp-ssh-config: {error}"))?;
    if code != 200 {
        return Ok(Err(code));
    }
    let read = serde_json::from_slice(&body);
    read.map(Ok)
        .map_err(|error| format!("sotp-ssh-config answered something else than expected: {error}"))
}
