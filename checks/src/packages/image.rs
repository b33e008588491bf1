//! An image of one service as an OCI layout, made without a container engine: <https://github.com/opencontainers/image-spec>, 1.1.
//!
//! It holds the program, the libraries that it is linked with, the certificate authorities of this machine, and its notices. It is what the
//! Dockerfile makes, but for git beside the two services that keep versions.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::deb::{gzip, run};
use super::notices::{self, Graph};
use super::tree::Tree;

/// The user of the service, nobody's.
const USER: u32 = 65_532;
/// Authorities, where Debian has them.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Writes the image of the program `name` out of the folder `programs` into `out`, a folder of its own, tagged with `version`.
///
/// # Errors
/// The program is not there, a library is not found, or a file cannot be read or written.
pub fn make(
    root: &Path,
    programs: &Path,
    name: &str,
    version: &str,
    out: &Path,
) -> anyhow::Result<()> {
    let program = programs.join(name);
    let tree = Tree::new(out.with_extension("tree"))?;
    tree.program("/service", "")?;
    run(Command::new("strip")
        .arg("-o")
        .arg(tree.root().join("service"))
        .arg(&program))?;
    for library in libraries(&program)? {
        let content = std::fs::read(&library).with_context(|| library.display().to_string())?;
        tree.program(&library.display().to_string(), content)?;
    }
    if Path::new(AUTHORITIES).is_file() {
        tree.file(AUTHORITIES, std::fs::read(AUTHORITIES)?)?;
    }
    let graph = Graph::read(root)?;
    let documents = format!("/usr/share/doc/{name}");
    tree.file(
        &format!("{documents}/THIRD-PARTY.md"),
        notices::notices(root, &graph, name)?,
    )?;
    let parts = notices::parts_list(&graph, name, version)?;
    tree.file(&format!("{documents}/parts.cdx.json"), parts.to_string())?;
    tree.file(
        &format!("{documents}/copyright"),
        std::fs::read(root.join("LICENSE"))?,
    )?;
    tree.folder("/data", 0o755)?;
    let archive = archive(&tree)?;
    let layout = Layout::new(out)?;
    let layer = layout.blob(
        "application/vnd.oci.image.layer.v1.tar+gzip",
        &gzip(&archive)?,
    )?;
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }, "os": "linux",
        "config": {
            "User": format!("{USER}:{USER}"), "Entrypoint": ["/service"], "WorkingDir": "/data", "Volumes": {"/data": {}},
            "Labels": {"org.opencontainers.image.title": name, "org.opencontainers.image.version": version, "org.opencontainers.image.licenses": "Apache-2.0"},
        },
        "rootfs": {"type": "layers", "diff_ids": [digest(&archive)]},
    });
    let config = layout.json("application/vnd.oci.image.config.v1+json", &config)?;
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": [layer],
    });
    let mut manifest = layout.json("application/vnd.oci.image.manifest.v1+json", &manifest)?;
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": version});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    std::fs::write(out.join("index.json"), index.to_string())?;
    std::fs::write(out.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    let _ = std::fs::remove_dir_all(tree.root());
    Ok(())
}

/// The libraries that the loader finds for a program, and the loader itself; none for a static one.
fn libraries(program: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).output().context("ldd")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        ensure!(
            !line.ends_with("not found"),
            "{}: {line}",
            program.display()
        );
        let path = line.split_once("=> ").map_or(line, |(_, path)| path);
        let path = path.split(" (").next().unwrap_or_default();
        if path.starts_with('/') {
            found.push(PathBuf::from(path));
        }
    }
    Ok(found)
}

/// The files as a tar archive that is the same whenever they are.
fn archive(tree: &Tree) -> anyhow::Result<Vec<u8>> {
    let file = tree.root().with_extension("tar");
    let tar = |owner: u32, what: &[&str]| {
        run(Command::new("tar")
            .args([
                "--format=ustar",
                "--sort=name",
                "--mtime=@0",
                "--numeric-owner",
            ])
            .args([format!("--owner={owner}"), format!("--group={owner}")])
            .arg("-C")
            .arg(tree.root())
            .args(what))
    };
    let path = file.display().to_string();
    tar(0, &["-cf", &path, "--exclude=./data", "."])?;
    tar(USER, &["-rf", &path, "./data"])?;
    let archive = std::fs::read(&file)?;
    std::fs::remove_file(&file)?;
    Ok(archive)
}

fn digest(content: &[u8]) -> String {
    let sum = Sha256::digest(content);
    let hex: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// A folder of blobs by their sums.
struct Layout(PathBuf);

impl Layout {
    fn new(out: &Path) -> anyhow::Result<Self> {
        let _ = std::fs::remove_dir_all(out);
        let folder = out.join("blobs/sha256");
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(Self(folder))
    }

    /// Writes a blob; its descriptor.
    fn blob(&self, kind: &str, content: &[u8]) -> anyhow::Result<Value> {
        let digest = digest(content);
        let name = digest.trim_start_matches("sha256:");
        std::fs::write(self.0.join(name), content)?;
        Ok(json!({"mediaType": kind, "digest": digest, "size": content.len()}))
    }

    fn json(&self, kind: &str, content: &Value) -> anyhow::Result<Value> {
        self.blob(kind, content.to_string().as_bytes())
    }
}
