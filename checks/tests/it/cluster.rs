//! `make cluster`, with doubles in place of docker, k3d, kind and kubectl that write down how they were called.

use std::path::Path;
use std::process::{Command, Output};

use sotp_checks::root;
use testkit::TempDir;

/// Puts doubles into a folder: each appends its call to `calls`, then does what `rules` (lines of a shell's `case`) say.
fn doubles(folder: &Path, programs: &[&str], rules: &str) {
    for program in programs {
        let text = format!(
            "#!/bin/sh\necho \"{program} $*\" >> {0}/calls\ncase \"{program} $*\" in\n{rules}\nesac\n",
            folder.display()
        );
        let file = folder.join(program);
        std::fs::write(&file, text).unwrap();
        Command::new("chmod")
            .arg("755")
            .arg(&file)
            .status()
            .unwrap();
    }
}

fn run(folder: &Path) -> (Output, Vec<String>) {
    let output = Command::new(env!("CARGO_BIN_EXE_sotp-cluster"))
        .env("PATH", folder)
        .output()
        .unwrap();
    let calls = std::fs::read_to_string(folder.join("calls")).unwrap_or_default();
    let root = root().display().to_string();
    let calls = calls
        .lines()
        .map(|line| line.replace(&root, "ROOT"))
        .collect();
    (output, calls)
}

const WORKLOADS: &str =
    "*\" get deployments,\"*) printf 'deployment.apps/ping\\nstatefulset.apps/grafana\\n';;";

#[test]
fn k3d_makes_a_cluster_that_gets_our_images_and_everything_else() {
    let folder = TempDir::new().unwrap();
    // Both are there: k3d goes first.
    doubles(
        folder.path(),
        &["docker", "k3d", "kind", "kubectl"],
        WORKLOADS,
    );
    let (output, calls) = run(folder.path());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let (builds, steps): (Vec<&String>, Vec<&String>) = calls
        .iter()
        .partition(|call| call.starts_with("docker build "));
    assert!(builds.len() >= 12, "{builds:?}");
    for expected in [
        "docker build --tag=sotp/ping:0.1.0 --build-arg=BIN=sotp-ping ROOT",
        "docker build --tag=sotp/grafana:0.1.0 --file=dashboards/app/Dockerfile ROOT",
    ] {
        assert!(
            builds.iter().any(|call| *call == expected),
            "{expected} in {builds:?}"
        );
    }
    assert!(
        builds
            .iter()
            .any(|call| call.contains("BASE=with-git") && call.contains("BIN=sotp-inventory")),
        "{builds:?}"
    );
    let loaded = steps[2];
    assert_eq!(loaded.matches(" sotp/").count(), builds.len(), "{loaded}");
    let context = "kubectl --context k3d-sotp";
    let expected = [
        "k3d cluster list --no-headers".to_owned(),
        "k3d cluster create sotp --wait".to_owned(),
        loaded.clone(),
        format!("{context} apply --server-side -k ROOT/kustomize/overlays/all-in-one"),
        format!("{context} --namespace sotp get deployments,statefulsets --output name"),
        format!("{context} --namespace sotp rollout status --timeout=10m deployment.apps/ping"),
        format!("{context} --namespace sotp rollout status --timeout=10m statefulset.apps/grafana"),
        format!("{context} --namespace sotp port-forward service/grafana 3000:3000"),
    ];
    assert!(
        loaded.starts_with("k3d image import --cluster sotp sotp/"),
        "{loaded}"
    );
    assert_eq!(steps, expected.iter().collect::<Vec<_>>());
    // Images are loaded when all are built, and before anything is applied.
    let at = |start: &str| {
        calls
            .iter()
            .rposition(|call| call.starts_with(start))
            .unwrap()
    };
    assert!(
        at("k3d cluster create") < at("docker build")
            && at("docker build") < at("k3d image import")
    );
    assert!(text.contains("Grafana: http://127.0.0.1:3000"), "{text}");
}

#[test]
fn kind_keeps_a_cluster_that_is_there() {
    let folder = TempDir::new().unwrap();
    let rules = format!("\"kind get clusters\") echo other; echo sotp;;\n{WORKLOADS}");
    doubles(folder.path(), &["docker", "kind", "kubectl"], &rules);
    let (output, calls) = run(folder.path());
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        !calls.iter().any(|call| call.contains("create cluster")),
        "{calls:?}"
    );
    assert!(
        calls
            .iter()
            .any(|call| call.starts_with("kind load docker-image --name sotp sotp/")),
        "{calls:?}"
    );
    assert!(
        calls
            .iter()
            .any(|call| call.starts_with("kubectl --context kind-sotp apply ")),
        "{calls:?}"
    );
}

#[test]
fn a_cluster_with_a_longer_name_is_another() {
    let folder = TempDir::new().unwrap();
    let rules = format!("\"kind get clusters\") echo sotp-old;;\n{WORKLOADS}");
    doubles(folder.path(), &["docker", "kind", "kubectl"], &rules);
    let (_, calls) = run(folder.path());
    assert!(
        calls
            .iter()
            .any(|call| call == "kind create cluster --name sotp --wait 3m"),
        "{calls:?}"
    );
}

#[test]
fn a_step_that_fails_is_the_last() {
    for (rule, last) in [
        (
            "\"docker build --tag=sotp/snmp:\"*) exit 1;;",
            "docker build --tag=sotp/snmp:",
        ),
        ("\"k3d image import\"*) exit 1;;", "k3d image import"),
        (
            "*\" apply \"*) exit 1;;",
            "kubectl --context k3d-sotp apply",
        ),
        (
            "*\" rollout status \"*) exit 1;;",
            "kubectl --context k3d-sotp --namespace sotp rollout status",
        ),
    ] {
        let folder = TempDir::new().unwrap();
        doubles(
            folder.path(),
            &["docker", "k3d", "kubectl"],
            &format!("{rule}\n{WORKLOADS}"),
        );
        let (output, calls) = run(folder.path());
        assert!(!output.status.success());
        assert!(calls.last().unwrap().starts_with(last), "{calls:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("exit status: 1"), "{said}");
    }
}

#[test]
fn what_is_not_installed_is_named() {
    let folder = TempDir::new().unwrap();
    doubles(folder.path(), &["kubectl"], "");
    let (output, calls) = run(folder.path());
    assert_eq!(output.status.code(), Some(69));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("install k3d or kind and docker"), "{said}");
    assert!(calls.is_empty(), "{calls:?}");
}
