//! `make cluster`: the all-in-one overlay on a cluster of this machine, by k3d or kind.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::tools;

/// What the cluster is called, and the namespace in it.
const NAME: &str = "sotp";
const OVERLAY: &str = "kustomize/overlays/all-in-one";

/// What makes a cluster of containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// K3s in Docker.
    K3d,
    /// Kubernetes in Docker.
    Kind,
}

impl Maker {
    /// The one that is installed; k3d goes first, since it starts sooner.
    #[must_use]
    pub fn found() -> Option<Self> {
        [(Self::K3d, "k3d"), (Self::Kind, "kind")]
            .into_iter()
            .find_map(|(maker, name)| tools::on_path(name).then_some(maker))
    }

    /// How kubectl calls the cluster.
    fn context(self) -> String {
        match self {
            Self::K3d => format!("k3d-{NAME}"),
            Self::Kind => format!("kind-{NAME}"),
        }
    }

    fn exists(self) -> anyhow::Result<bool> {
        Ok(match self {
            Self::K3d => output("k3d", &["cluster", "list", "--no-headers"])?,
            Self::Kind => output("kind", &["get", "clusters"])?,
        }
        .lines()
        .any(|line| line.split_whitespace().next() == Some(NAME)))
    }

    fn create(self) -> anyhow::Result<()> {
        match self {
            Self::K3d => shown("k3d", &["cluster", "create", NAME, "--wait"]),
            Self::Kind => shown(
                "kind",
                &["create", "cluster", "--name", NAME, "--wait", "3m"],
            ),
        }
    }

    fn load(self, images: &[&str]) -> anyhow::Result<()> {
        let (program, first) = match self {
            Self::K3d => ("k3d", ["image", "import", "--cluster", NAME]),
            Self::Kind => ("kind", ["load", "docker-image", "--name", NAME]),
        };
        shown(program, &[&first[..], images].concat())
    }
}

/// What is not installed and must be; empty where a cluster can be made.
#[must_use]
pub fn missing() -> Vec<&'static str> {
    let mut missing = Vec::new();
    if Maker::found().is_none() {
        missing.push("k3d or kind");
    }
    missing.extend(
        ["docker", "kubectl"]
            .into_iter()
            .filter(|name| !tools::on_path(name)),
    );
    missing
}

/// Makes the cluster unless it is there, builds our images, loads and applies everything, waits until it runs, and shows Grafana until it is
/// stopped. What was done before is done again at no harm.
///
/// # Errors
/// A step fails; what its program said was printed.
pub fn up(root: &Path, maker: Maker) -> anyhow::Result<()> {
    if maker.exists()? {
        println!("the cluster {NAME} is there");
    } else {
        maker.create()?;
    }
    let images = images(&std::fs::read_to_string(root.join("compose.yaml"))?)?;
    for image in &images {
        let arguments: Vec<&str> = image.build.iter().map(String::as_str).collect();
        let context = root.display().to_string();
        shown("docker", &[&arguments[..], &[&*context]].concat())?;
    }
    let names: Vec<&str> = images.iter().map(|image| &*image.name).collect();
    maker.load(&names)?;
    let context = maker.context();
    let kubectl = |arguments: &[&'static str]| {
        let common = ["--context", &*context];
        [&common[..], arguments]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let overlay = root.join(OVERLAY).display().to_string();
    let mut apply = kubectl(&["apply", "--server-side", "-k"]);
    apply.push(overlay);
    shown("kubectl", &apply)?;
    let list = kubectl(&[
        "--namespace",
        NAME,
        "get",
        "deployments,statefulsets",
        "--output",
        "name",
    ]);
    let workloads = output("kubectl", &list)?;
    ensure!(!workloads.trim().is_empty(), "nothing was applied");
    for workload in workloads.lines() {
        let mut wait = kubectl(&["--namespace", NAME, "rollout", "status", "--timeout=10m"]);
        wait.push(workload.to_owned());
        shown("kubectl", &wait)?;
    }
    println!(
        "\nGrafana: http://127.0.0.1:3000, user admin, with the password that this prints:\n  kubectl --context {context} --namespace {NAME} exec grafana-0 \
         --container grafana -- cat /var/lib/grafana/initial-admin-password\nCtrl-C ends the way to it, not the cluster.\n"
    );
    shown(
        "kubectl",
        &kubectl(&[
            "--namespace",
            NAME,
            "port-forward",
            "service/grafana",
            "3000:3000",
        ]),
    )
}

/// An image of ours, and how docker builds it, but for the folder.
#[derive(Debug, PartialEq, Eq)]
struct Image {
    name: String,
    build: Vec<String>,
}

/// Those that `compose.yaml` builds.
fn images(compose: &str) -> anyhow::Result<Vec<Image>> {
    let compose: Value = serde_saphyr::from_str(compose).context("compose.yaml")?;
    let mut images = Vec::new();
    for (service, entry) in compose["services"].as_object().into_iter().flatten() {
        let build = &entry["build"];
        if build.is_null() {
            continue;
        }
        let Some(name) = entry["image"].as_str() else {
            bail!("compose.yaml: {service} is built and has no name");
        };
        let mut arguments = vec!["build".to_owned(), format!("--tag={name}")];
        if let Some(file) = build["dockerfile"].as_str() {
            arguments.push(format!("--file={file}"));
        }
        for (key, value) in build["args"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap_or_default();
            arguments.push(format!("--build-arg={key}={value}"));
        }
        images.push(Image {
            name: name.to_owned(),
            build: arguments,
        });
    }
    ensure!(!images.is_empty(), "compose.yaml builds nothing");
    Ok(images)
}

/// Runs a program that people watch.
fn shown(program: &str, arguments: &[impl AsRef<str>]) -> anyhow::Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
    println!("+ {program} {}", arguments.join(" "));
    let status = Command::new(program)
        .args(&arguments)
        .current_dir(crate::root())
        .stdin(Stdio::null())
        .status()
        .with_context(|| program.to_owned())?;
    ensure!(
        status.success(),
        "{program} {}: {status}",
        arguments.join(" ")
    );
    Ok(())
}

fn output(program: &str, arguments: &[impl AsRef<str>]) -> anyhow::Result<String> {
    let arguments: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
    tools::run(program, &arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_built_as_compose_says() {
        let compose = "services:\n  a: {image: 'sotp/a:1', build: {context: ., dockerfile: x/Dockerfile, args: {BIN: sotp-a, BASE: with-git}}}\n  b: {image: 'b:1'}\n";
        let images = images(compose).unwrap();
        let build = [
            "build",
            "--tag=sotp/a:1",
            "--file=x/Dockerfile",
            "--build-arg=BASE=with-git",
            "--build-arg=BIN=sotp-a",
        ];
        let mut found = images[0].build.clone();
        found[3..].sort();
        assert_eq!(found, build);
        assert_eq!(images.len(), 1);
    }
}
