//! The container to develop in: its compiler is that of the workspace.

use serde_json::Value;
use sotp_checks::root;

#[test]
fn the_container_to_develop_in_has_the_compiler_of_the_workspace() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    // JSON with comments of whole lines.
    let text = read(".devcontainer/devcontainer.json");
    let bare: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let container: Value = serde_json::from_str(&bare.join("\n")).unwrap();
    let file = container["build"]["dockerfile"].as_str().unwrap();
    let dockerfile = read(&format!(".devcontainer/{file}"));
    let workspace: toml::Table = read("Cargo.toml").parse().unwrap();
    let version = workspace["workspace"]["package"]["rust-version"]
        .as_str()
        .unwrap();
    assert!(
        dockerfile.contains(&format!("FROM rust:{version}.")),
        "rust:{version} in {dockerfile}"
    );
    // As the images of our services are built.
    let from = |text: &str| {
        text.lines()
            .find(|line| line.starts_with("FROM rust:"))
            .unwrap()
            .split_whitespace()
            .nth(1)
            .unwrap()
            .to_owned()
    };
    assert_eq!(from(&dockerfile), from(&read("Dockerfile")));
}
