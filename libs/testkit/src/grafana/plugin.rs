//! App plugins as they lie in a folder: `plugin.json`, with its pages, roles and routes, and the files beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::login::{Basic, Identity};
use super::route::{App, Route};

/// A page of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What the navigation calls it.
    pub name: String,
    /// From `/a/` on.
    pub path: String,
    /// Whether the navigation lists it.
    pub add_to_nav: bool,
    /// Whether the section itself leads to it.
    pub default_nav: bool,
    /// The action that it takes; then `role` does not count.
    pub action: String,
    /// Least basic role.
    pub role: Basic,
}

/// What Grafana reads of a plugin's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    /// The folder, which is served under `/public/plugins/ID/`.
    pub folder: PathBuf,
    /// `name`.
    pub name: String,
    /// `info.version`, by which browsers keep its files.
    pub version: String,
    /// Pages in their order.
    pub pages: Vec<Page>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Raw {
    #[serde(rename = "$schema")]
    _schema: Option<String>,
    r#type: String,
    name: String,
    id: String,
    info: RawInfo,
    dependencies: RawDependencies,
    #[serde(default)]
    includes: Vec<RawInclude>,
    #[serde(default)]
    roles: Vec<RawRole>,
    #[serde(default)]
    routes: Vec<RawRoute>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawInfo {
    #[serde(rename = "description")]
    _description: Option<String>,
    #[serde(rename = "keywords")]
    _keywords: Option<Vec<String>>,
    #[serde(rename = "author")]
    _author: RawAuthor,
    logos: RawLogos,
    version: String,
    updated: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAuthor {
    #[serde(rename = "name")]
    _name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLogos {
    small: String,
    large: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawDependencies {
    grafana_dependency: String,
    #[serde(default, rename = "plugins")]
    _plugins: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawInclude {
    r#type: String,
    name: String,
    path: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    add_to_nav: bool,
    #[serde(default)]
    default_nav: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRole {
    role: RawRoleInner,
    grants: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRoleInner {
    #[serde(rename = "name")]
    _name: String,
    #[serde(rename = "description")]
    _description: String,
    permissions: Vec<RawPermission>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPermission {
    action: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawRoute {
    path: String,
    #[serde(default)]
    method: String,
    #[serde(default)]
    req_role: String,
    #[serde(default)]
    req_action: String,
    url: String,
    #[serde(default)]
    headers: Vec<RawHeader>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHeader {
    name: String,
    content: String,
}

fn role(text: &str) -> anyhow::Result<Basic> {
    Basic::ALL
        .into_iter()
        .find(|role| role.as_str() == text && *role != Basic::None)
        .with_context(|| format!("{text:?}: expected Viewer, Editor or Admin"))
}

/// `plugin.json` of a folder, and its path.
fn raw(folder: &Path) -> anyhow::Result<(PathBuf, Raw)> {
    let path = folder.join("plugin.json");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let raw = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    Ok((path, raw))
}

/// Whether the files that a browser needs lie beside it.
fn files(folder: &Path, raw: &Raw) -> anyhow::Result<()> {
    ensure!(folder.join("module.js").is_file(), "no module.js beside it");
    for logo in [&raw.info.logos.small, &raw.info.logos.large] {
        ensure!(folder.join(logo).is_file(), "logos: no file {logo}");
    }
    Ok(())
}

impl App {
    /// The app that lies in `folder`, enabled with these settings; its id, and itself.
    ///
    /// # Errors
    /// `plugin.json` cannot be read, is not what Grafana 12.3 loads, or says something that this Grafana does not know.
    pub fn read(
        folder: &Path,
        json_data: BTreeMap<String, String>,
        secure_json_data: BTreeMap<String, String>,
    ) -> anyhow::Result<(String, Self)> {
        let (path, raw) = raw(folder)?;
        let id = raw.id.clone();
        let whole = files(folder, &raw);
        let app = whole.and_then(|()| Self::checked(folder, raw, json_data, secure_json_data));
        Ok((id, app.with_context(|| path.display().to_string())?))
    }

    /// The same of a folder that has `plugin.json` and nothing else that a browser would need: its routes alone.
    ///
    /// # Errors
    /// As [`App::read`].
    pub fn read_routes(
        folder: &Path,
        json_data: BTreeMap<String, String>,
        secure_json_data: BTreeMap<String, String>,
    ) -> anyhow::Result<(String, Self)> {
        let (path, raw) = raw(folder)?;
        let id = raw.id.clone();
        let app = Self::checked(folder, raw, json_data, secure_json_data)
            .with_context(|| path.display().to_string())?;
        Ok((
            id,
            Self {
                plugin: None,
                ..app
            },
        ))
    }

    fn checked(
        folder: &Path,
        raw: Raw,
        json_data: BTreeMap<String, String>,
        secure_json_data: BTreeMap<String, String>,
    ) -> anyhow::Result<Self> {
        ensure!(raw.r#type == "app", "type: expected app");
        ensure!(!raw.info.version.is_empty(), "info.version: empty");
        ensure!(
            raw.info.updated.len() == 10,
            "info.updated: expected a date"
        );
        ensure!(
            raw.dependencies.grafana_dependency.starts_with(">="),
            "dependencies.grafanaDependency: expected >= and a version"
        );
        let mut grants: BTreeMap<String, Basic> = BTreeMap::new();
        for entry in &raw.roles {
            let granted: Vec<Basic> = entry
                .grants
                .iter()
                .map(|text| role(text))
                .collect::<anyhow::Result<_>>()?;
            let least = granted.iter().min().copied().context("roles: no grants")?;
            for RawPermission { action } in &entry.role.permissions {
                // Grafana refuses to load an app whose actions do not begin with its id.
                ensure!(
                    action.starts_with(&format!("{}.", raw.id)) && action.contains(':'),
                    "roles: action {action:?}: expected {}.something:verb",
                    raw.id
                );
                let known = grants.entry(action.clone()).or_insert(least);
                *known = least.min(*known);
            }
        }
        let asked: BTreeSet<&String> = raw
            .routes
            .iter()
            .map(|route| &route.req_action)
            .chain(raw.includes.iter().map(|include| &include.action))
            .filter(|action| !action.is_empty())
            .collect();
        for action in asked {
            ensure!(grants.contains_key(action), "{action}: no role has it");
        }
        let pages = raw.includes.into_iter().map(|include| {
            ensure!(include.r#type == "page", "includes: expected pages only");
            let own = format!("/a/{}/", raw.id);
            ensure!(
                include.path.starts_with(&own),
                "includes: {}: expected {own}…",
                include.path
            );
            let role = if include.role.is_empty() {
                Basic::Viewer
            } else {
                role(&include.role)?
            };
            Ok(Page {
                name: include.name,
                path: include.path,
                add_to_nav: include.add_to_nav,
                default_nav: include.default_nav,
                action: include.action,
                role,
            })
        });
        let pages: Vec<Page> = pages.collect::<anyhow::Result<_>>()?;
        ensure!(
            pages.iter().filter(|page| page.default_nav).count() <= 1,
            "includes: more than one defaultNav"
        );
        let routes = raw.routes.into_iter().map(|route| {
            let req_role = match route.req_role.as_str() {
                "" => None,
                text => Some(role(text)?),
            };
            Ok(Route {
                path: route.path,
                method: route.method,
                req_role,
                req_action: route.req_action,
                url: route.url,
                headers: route
                    .headers
                    .into_iter()
                    .map(|header| (header.name, header.content))
                    .collect(),
            })
        });
        Ok(Self {
            routes: routes.collect::<anyhow::Result<_>>()?,
            grants,
            json_data,
            secure_json_data,
            plugin: Some(Plugin {
                folder: folder.to_path_buf(),
                name: raw.name,
                version: raw.info.version,
                pages,
            }),
        })
    }

    /// The actions that somebody has.
    pub(super) fn permissions(&self, who: &Identity) -> impl Iterator<Item = &String> {
        let role = who.user.role;
        let held = move |least: &Basic| role >= *least;
        self.grants
            .iter()
            .filter(move |(_, least)| held(least))
            .map(|(action, _)| action)
    }

    /// Whether somebody may open a page.
    pub(super) fn opens(&self, page: &Page, who: &Identity) -> bool {
        if page.action.is_empty() {
            return who.user.role >= page.role;
        }
        self.grants
            .get(&page.action)
            .is_some_and(|least| who.user.role >= *least)
    }
}

impl Plugin {
    /// What `/api/plugins/ID/settings` answers, of which the page takes its modules.
    pub(super) fn settings(&self, id: &str, app: &App, who: &Identity) -> Value {
        let pages = self.pages.iter().map(|page| {
            json!({
                "name": page.name, "path": page.path, "type": "page", "addToNav": page.add_to_nav,
                "defaultNav": page.default_nav, "action": page.action, "shown": app.opens(page, who),
            })
        });
        json!({
            "id": id, "name": self.name, "type": "app", "enabled": true, "pinned": true,
            "module": format!("public/plugins/{id}/module.js"), "baseUrl": format!("public/plugins/{id}"),
            "info": {"version": self.version}, "includes": pages.collect::<Vec<_>>(),
            // Only the plain settings; of the others not even the names are told to viewers.
            "jsonData": app.json_data, "signature": "unsigned",
        })
    }
}
