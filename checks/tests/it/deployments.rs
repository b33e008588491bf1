//! Everything that somebody may apply: each overlay, and each component on what it is for, held to all rules.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sotp_checks::deployments::{self, Deployment};
use sotp_checks::{manifests, reach, root, tools};

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn all(test: &str) -> Vec<Deployment> {
    let root = root();
    deployments::all(&root, &tools::kubectl(&root), &scratch(test)).unwrap()
}

fn find<'a>(all: &'a [Deployment], name: &str) -> &'a Deployment {
    all.iter().find(|one| one.name == name).unwrap()
}

#[test]
fn each_keeps_the_rules_fits_together_and_reaches_what_it_calls() {
    let all = all("rules");
    let mut problems = Vec::new();
    for one in &all {
        let found = [
            manifests::problems(&one.objects),
            manifests::fit_problems(&one.objects),
            reach::problems(&one.objects),
        ];
        problems.extend(
            found
                .iter()
                .flatten()
                .map(|problem| format!("{}: {problem}", one.name)),
        );
    }
    assert_eq!(problems, Vec::<String>::new());
}

/// A component changes what it stands on, and the page tells of it.
#[test]
fn each_component_does_something_and_is_documented() {
    let all = all("something");
    let page = std::fs::read_to_string(root().join("docs/kubernetes.md")).unwrap();
    for folder in ["components", "overlays"] {
        for name in deployments::folders(&root(), &format!("kustomize/{folder}")).unwrap() {
            assert!(
                page.contains(&format!("`{name}`")),
                "docs/kubernetes.md says nothing of {name}"
            );
            if folder == "components" {
                let with = find(&all, &format!("kustomize/components/{name}"));
                let without = find(&all, deployments::below(&name));
                assert_ne!(with.objects, without.objects, "{name} changes nothing");
            }
        }
    }
}

/// What a component asks of a node lies in a namespace of its own; that of all others stays restricted.
#[test]
fn the_namespace_of_the_suite_is_restricted_in_each() {
    for one in all("restricted") {
        let spaces: BTreeMap<&str, &Value> = one
            .objects
            .iter()
            .filter(|object| object["kind"] == "Namespace")
            .map(|object| {
                let level = &object["metadata"]["labels"]["pod-security.kubernetes.io/enforce"];
                (object["metadata"]["name"].as_str().unwrap(), level)
            })
            .collect();
        assert_eq!(spaces["sotp"], "restricted", "{}", one.name);
        for object in &one.objects {
            let named = manifests::namespace(object);
            assert!(
                object["kind"] == "Namespace" || spaces.contains_key(named) || named == "argocd",
                "{}: {} lies in {named:?}",
                one.name,
                manifests::name(object)
            );
        }
        let denied: BTreeSet<&str> = one
            .objects
            .iter()
            .filter(|object| manifests::name(object) == "NetworkPolicy/default-deny")
            .map(manifests::namespace)
            .collect();
        assert_eq!(
            denied,
            spaces.into_keys().collect(),
            "{}: a namespace without a policy that denies",
            one.name
        );
    }
}
