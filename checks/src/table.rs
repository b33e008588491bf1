//! The table of services, held against everything that must know of a service.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::Value;
use services::{Devices, Service, Table};

use crate::crates::Crates;
use crate::{dashboards, files, operator, shards, sizing};

/// Programs of ours that are no services.
const TOOLS: [&str; 5] = [
    "sotp-audit",
    "sotp-certs",
    "sotp-checks",
    "sotp-fuzz",
    "sotp-lab",
];
/// What a user meets of a service, as its own tests saw it.
const GOLDEN: [&str; 3] = ["metrics.txt", "help.txt", "config.txt"];

/// Every file that is written from the table, whole or in part, and what must stand in it.
///
/// # Errors
/// A file cannot be read, or lacks the marks between which a table is written.
pub fn written(root: &Path, table: &Table) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let mut written = vec![
        (root.join("lab/compose/prometheus.yml"), table.of_compose()),
        (
            root.join("kustomize/stack/prometheus/prometheus.yml"),
            table.of_kubernetes(),
        ),
        (
            root.join("kustomize/components/tls/prometheus.yml"),
            table.of_kubernetes_with_tls(),
        ),
        (
            root.join("kustomize/components/prometheus-operator/rules.yaml"),
            operator::rules(root)?,
        ),
    ];
    for index in 0..shards::COUNT {
        let folder = format!("kustomize/overlays/scale-out/shard-{index}");
        let text = shards::collector(&table.of_kubernetes(), index, shards::COUNT);
        written.push((root.join(folder).join("prometheus.yml"), text));
    }
    let parts = [
        ("README.md", "services", readme(table)),
        ("docs/stack.md", "services", ports(table)),
        ("docs/architecture.md", "services", map(table)),
        ("docs/dashboards.md", "dashboards", boards(root)?),
        ("docs/sizing.md", "sizing", sizing::table(root)?),
    ];
    for (file, name, text) in parts {
        let path = root.join(file);
        let old = std::fs::read_to_string(&path).with_context(|| file.to_owned())?;
        written.push((
            path,
            replaced(&old, name, &text).with_context(|| file.to_owned())?,
        ));
    }
    Ok(written)
}

/// `text` with `new` between the marks of the table `name`.
///
/// # Errors
/// The marks are not there.
pub fn replaced(text: &str, name: &str, new: &str) -> anyhow::Result<String> {
    let (begin, end) = (
        format!("<!-- {name}: written by `make tables` -->\n"),
        format!("<!-- end of {name} -->\n"),
    );
    let missing = || {
        format!(
            "expected a table between `{}` and `{}`",
            begin.trim_end(),
            end.trim_end()
        )
    };
    let (before, rest) = text.split_once(&begin).with_context(missing)?;
    let (_, after) = rest.split_once(&end).with_context(missing)?;
    Ok(format!("{before}{begin}\n{new}\n{end}{after}"))
}

fn readme(table: &Table) -> String {
    let mut text = "| folder | what it is | page |\n|---|---|---|\n".to_owned();
    for one in &table.service {
        let pages: Vec<String> = one
            .pages
            .iter()
            .map(|page| format!("[{page}]({page})"))
            .collect();
        let _ = writeln!(
            text,
            "| `{}` | `{}`: {} | {} |",
            one.folder,
            one.name,
            one.about,
            pages.join(", ")
        );
    }
    text
}

fn ports(table: &Table) -> String {
    let mut text = "| port | what | look at |\n|---|---|---|\n".to_owned();
    for one in table.service.iter().filter(|one| one.launched) {
        let _ = writeln!(text, "| {} | {} | {} |", one.port, one.name, one.shows);
    }
    text
}

fn map(table: &Table) -> String {
    let mut text =
        "| service | crate | port | Prometheus jobs | devices from |\n|---|---|---|---|---|\n"
            .to_owned();
    for one in &table.service {
        let devices = match one.devices {
            Devices::File => "the inventory file",
            Devices::Inventory => "`sotp-inventory`",
            Devices::Prometheus => "Prometheus, one with each request",
            Devices::None => "needs none",
        };
        let probe = one
            .probe
            .as_ref()
            .map_or_else(String::new, |probe| format!(", `{}`", probe.job));
        let _ = writeln!(
            text,
            "| `{}` | `{}` | {} | `{}`{probe} | {devices} |",
            one.name, one.folder, one.port, one.job
        );
    }
    text
}

/// The dashboards in the order of their kustomization.
fn boards(root: &Path) -> anyhow::Result<String> {
    let list = std::fs::read_to_string(root.join("dashboards/kustomization.yaml"))?;
    let place = |path: &Path| {
        let name = path
            .strip_prefix(root.join("dashboards"))
            .unwrap_or(path)
            .display()
            .to_string();
        (
            list.find(&format!("- {name}\n")).unwrap_or(usize::MAX),
            name,
        )
    };
    let mut all = dashboards::read(&root.join("dashboards"))?;
    all.sort_by_key(|board| place(&board.path));
    let mut text = "| dashboard | file | shows |\n|---|---|---|\n".to_owned();
    for board in all {
        let (_, name) = place(&board.path);
        let json: Value = serde_json::from_str(&std::fs::read_to_string(&board.path)?)?;
        let said = |key: &str| json[key].as_str().unwrap_or_default().replace('|', "\\|");
        let _ = writeln!(
            text,
            "| {} (`/d/{}`) | [{name}](../dashboards/{name}) | {} |",
            said("title"),
            board.uid,
            said("description")
        );
    }
    Ok(text)
}

/// What does not fit the table: packages, pages, dashboards, golden files, containers, Kubernetes and the Makefile.
///
/// # Errors
/// A file that must be there in any case cannot be read.
pub fn problems(root: &Path, table: &Table, crates: &Crates) -> anyhow::Result<Vec<String>> {
    let mut problems = packages(table, crates);
    let compose: Value = read(root, "compose.yaml")?;
    let cluster = Cluster::read(root)?;
    let make = make(root)?;
    for one in &table.service {
        let mut problem = |text: String| problems.push(format!("{}: {text}", one.name));
        let boards = one
            .dashboards
            .iter()
            .map(|board| format!("dashboards/{board}"));
        let golden = GOLDEN.map(|file| format!("{}/tests/golden/{file}", one.folder));
        for file in one.pages.iter().cloned().chain(boards).chain(golden) {
            if !root.join(&file).is_file() {
                problem(format!("{file} is not there"));
            }
        }
        if !make.contains(&format!("-p {}", one.name)) {
            problem("`make build` does not build it".to_owned());
        }
        container(one, &compose).into_iter().for_each(&mut problem);
        cluster
            .problems(one, root)
            .into_iter()
            .for_each(&mut problem);
    }
    Ok(problems)
}

/// What is wrong between the table and the packages of the workspace.
#[must_use]
pub fn packages(table: &Table, crates: &Crates) -> Vec<String> {
    let mut problems = Vec::new();
    for package in crates.ours().filter(|package| package.is_program()) {
        if table.get(&package.name).is_none() && !TOOLS.contains(&package.name.as_str()) {
            problems.push(format!(
                "{}: builds a program, but stands not in lab/services.toml",
                package.name
            ));
        }
    }
    for one in &table.service {
        let package = crates.ours().find(|package| package.name == one.name);
        let Some(package) = package.filter(|package| package.folder().ends_with(&one.folder))
        else {
            problems.push(format!(
                "{}: no package of this name in {}",
                one.name, one.folder
            ));
            continue;
        };
        let built: BTreeSet<&str> = package.programs().collect();
        for program in std::iter::once(&one.name).chain(&one.programs) {
            if !built.contains(program.as_str()) {
                problems.push(format!("{}: its package builds no {program}", one.name));
            }
        }
        for program in built {
            if program != one.name && !one.programs.iter().any(|known| known == program) {
                problems.push(format!(
                    "{}: `programs` of lab/services.toml lacks {program}",
                    one.name
                ));
            }
        }
    }
    problems
}

/// What is wrong with the service in `compose.yaml`.
#[must_use]
pub fn container(one: &Service, compose: &Value) -> Vec<String> {
    let Some(app) = &one.app else {
        return Vec::new();
    };
    let service = &compose["services"][app.as_str()];
    let mut problems = Vec::new();
    let mut expect = |good: bool, what: String| {
        if !good {
            problems.push(format!("compose.yaml: expected {what}"));
        }
    };
    expect(
        service["build"]["args"]["BIN"] == one.name,
        format!("services.{app}.build.args.BIN: {}", one.name),
    );
    let port = format!("127.0.0.1:{0}:{0}", one.port);
    expect(
        has(&service["ports"], &port),
        format!("{port} in services.{app}.ports"),
    );
    expect(
        mentions_key(&compose["services"]["prometheus"]["depends_on"], app),
        format!("{app} in services.prometheus.depends_on"),
    );
    // Where its certificate is, and nobody else's; and who must show one to it.
    let own = mounted(service).find(|mount| mount["source"] == "tls");
    let own = own.is_some_and(|mount| mount["volume"]["subpath"] == **app);
    expect(
        own,
        format!("its certificate, tls below {app}, in services.{app}.volumes"),
    );
    let web = format!("/etc/sotp-web/{}", one.callers.web_config());
    expect(
        service["environment"]["SOTP_WEB_CONFIG_FILE"] == *web,
        format!("SOTP_WEB_CONFIG_FILE: {web} in services.{app}.environment"),
    );
    if one.devices == Devices::Inventory {
        expect(
            mentions_key(&service["depends_on"], "inventory"),
            format!("inventory in services.{app}.depends_on"),
        );
    }
    problems
}

/// The parts of the cluster that name every service.
#[derive(Debug)]
pub struct Cluster {
    base: Value,
    overlay: Value,
    asks: Value,
    inventory: Value,
}

impl Cluster {
    /// Reads them.
    ///
    /// # Errors
    /// One is not there or no YAML.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            base: read(root, "kustomize/base/kustomization.yaml")?,
            overlay: read(root, "kustomize/overlays/all-in-one/kustomization.yaml")?,
            asks: read(root, "kustomize/stack/prometheus/networkpolicy.yaml")?,
            inventory: read(root, "kustomize/apps/inventory/networkpolicy.yaml")?,
        })
    }

    /// What is wrong with the service in Kubernetes.
    #[must_use]
    pub fn problems(&self, one: &Service, root: &Path) -> Vec<String> {
        let Some(app) = &one.app else {
            return Vec::new();
        };
        let folder = format!("kustomize/apps/{app}");
        let mut problems = Vec::new();
        let mut expect = |good: bool, file: &str, what: String| {
            if !good {
                problems.push(format!("{file}: expected {what}"));
            }
        };
        let manifests: String = files(&root.join(&folder), ".yaml")
            .unwrap_or_default()
            .iter()
            .filter_map(|path| std::fs::read_to_string(path).ok())
            .collect();
        expect(
            manifests.contains(&format!("containerPort: {}\n", one.port)),
            &folder,
            format!("containerPort: {}", one.port),
        );
        expect(
            manifests.contains(&format!("port: {}\n", one.port)),
            &folder,
            format!("a Service at port {}", one.port),
        );
        let kind = if one.pods {
            "kind: StatefulSet\n"
        } else {
            "kind: Deployment\n"
        };
        expect(
            manifests.contains(kind),
            &folder,
            format!("{}, as `pods` in lab/services.toml says", kind.trim_end()),
        );
        expect(
            manifests.contains(&format!("image: sotp/{app}:")),
            &folder,
            format!("the image sotp/{app}"),
        );
        let resource = format!("../apps/{app}");
        expect(
            has(&self.base["resources"], &resource),
            "kustomize/base/kustomization.yaml",
            format!("{resource} in resources"),
        );
        let images = self.overlay["images"].as_array().into_iter().flatten();
        let named = images
            .filter(|image| image["name"] == format!("sotp/{app}"))
            .count();
        expect(
            named == 1,
            "kustomize/overlays/all-in-one/kustomization.yaml",
            format!("sotp/{app} in images"),
        );
        expect(
            mentions(&self.asks, app),
            "kustomize/stack/prometheus/networkpolicy.yaml",
            format!("{app} among those that Prometheus may ask"),
        );
        if one.devices == Devices::Inventory {
            expect(
                mentions(&self.inventory, app),
                "kustomize/apps/inventory/networkpolicy.yaml",
                format!("{app} among those that may ask the inventory"),
            );
        }
        problems
    }
}

/// What `make build` would run.
fn make(root: &Path) -> anyhow::Result<String> {
    let output = std::process::Command::new("make")
        .args(["--dry-run", "build"])
        .current_dir(root)
        .output()
        .context("make")?;
    ensure!(
        output.status.success(),
        "make --dry-run build: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn read(root: &Path, file: &str) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(root.join(file)).with_context(|| file.to_owned())?;
    serde_saphyr::from_str(&text).with_context(|| file.to_owned())
}

/// The mounts of a service that are no mere text.
fn mounted(service: &Value) -> impl Iterator<Item = &Value> {
    let volumes = service["volumes"].as_array().into_iter().flatten();
    volumes.filter(|mount| mount.is_object())
}

/// Whether a mapping has this key.
fn mentions_key(value: &Value, wanted: &str) -> bool {
    value
        .as_object()
        .is_some_and(|fields| fields.contains_key(wanted))
}

/// Whether a list has this string.
fn has(list: &Value, wanted: &str) -> bool {
    list.as_array()
        .into_iter()
        .flatten()
        .any(|item| item == wanted)
}

/// Whether this string is a value anywhere below.
fn mentions(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text == wanted,
        Value::Array(items) => items.iter().any(|item| mentions(item, wanted)),
        Value::Object(fields) => fields.values().any(|item| mentions(item, wanted)),
        _ => false,
    }
}
