//! Debian packages of what cargo has built: a package for each service, `sotp-audit`, and `sotp` for the whole.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::notices::{self, Graph};
use super::tree::Tree;
use super::{CERTIFICATES, Packaged, whole};

/// How packages are made.
#[derive(Debug, Clone)]
pub struct Make {
    /// The repository.
    pub root: PathBuf,
    /// The folder of the programs.
    pub programs: PathBuf,
    /// Where the packages go.
    pub out: PathBuf,
    /// The folder of the app for Grafana, as `make app` builds it; the whole goes without where there is none.
    pub app: PathBuf,
    /// Their version, by Debian's rules.
    pub version: String,
    /// Whether they are packed as fast as possible, for tests, rather than as small.
    pub fast: bool,
}

/// What stands in `DEBIAN/control` beside what every package has.
pub(super) struct Control<'a> {
    pub(super) name: &'a str,
    pub(super) architecture: &'a str,
    pub(super) depends: Vec<String>,
    pub(super) recommends: Vec<String>,
    pub(super) suggests: Vec<String>,
    pub(super) about: &'a str,
}

impl Make {
    /// Makes every package, or those of `only`; their files.
    ///
    /// # Errors
    /// A program is not built, a file cannot be read or written, or `dpkg-deb` fails.
    pub fn packages(&self, only: &[String]) -> anyhow::Result<Vec<PathBuf>> {
        std::fs::create_dir_all(&self.out)?;
        let wanted = |name: &str| only.is_empty() || only.iter().any(|one| one == name);
        let graph = Graph::read(&self.root)?;
        let mut made = Vec::new();
        let all = super::all(&self.root)?;
        for package in all.iter().filter(|one| wanted(&one.service.name)) {
            made.push(self.service(&graph, package)?);
        }
        if wanted("sotp-audit") {
            made.push(self.audit(&graph)?);
        }
        if wanted("sotp-certs") {
            made.push(self.certificates(&graph)?);
        }
        if wanted("sotp") {
            made.push(whole::package(self, &all)?);
        }
        Ok(made)
    }

    fn service(&self, graph: &Graph, package: &Packaged) -> anyhow::Result<PathBuf> {
        let name = &package.service.name;
        let tree = self.tree(name)?;
        for program in package.programs() {
            self.program(&tree, program)?;
        }
        let template = self.read("packaging/unit.service")?;
        let unit = format!("/usr/lib/systemd/system/{name}.service");
        tree.file(&unit, package.unit(&template))?;
        tree.file(
            &format!("/usr/lib/sysusers.d/{name}.conf"),
            format!("u {name} - \"{name} of SOTP\" /var/lib/{name}\n"),
        )?;
        tree.file(
            &format!("/usr/lib/tmpfiles.d/{name}.conf"),
            format!(
                "d /var/lib/{name} 0750 {name} {name}\nd /etc/sotp/credentials 0700 root root\nd /etc/sotp/credentials/{} 0700 root root\n",
                package.app()
            ),
        )?;
        let mut conffiles = vec![format!("/etc/default/{name}")];
        tree.file(
            &conffiles[0],
            "# Further flags of the service.\nARGS=\"\"\n",
        )?;
        for file in package.extra.config.iter().chain(&package.extra.conffiles) {
            let path = format!("/etc/sotp/{file}");
            tree.file(&path, self.configuration(package, file)?)?;
            conffiles.push(path);
        }
        let web = package.service.callers.web_config();
        let web = self.with_certificates(&format!("web/{web}"), package.app())?;
        let path = format!("/etc/sotp/web/{}.yaml", package.app());
        tree.file(&path, web)?;
        conffiles.push(path);
        tree.file(
            &format!("/usr/share/sotp-certs/parts.d/{name}"),
            format!("{}:{name}\n", package.app()),
        )?;
        self.documents(graph, &tree, name, name, &package.service.pages)?;
        let mut units = format!("{name}.service");
        if let Some(socket) = package.socket() {
            tree.file(&format!("/usr/lib/systemd/system/{name}.socket"), socket)?;
            units = format!("{name}.socket {units}");
        }
        self.scripts(&tree, &units, name)?;
        let mut depends = vec!["libc6 (>= 2.36)".to_owned(), "libgcc-s1".to_owned()];
        depends.push("systemd | systemd-standalone-sysusers".to_owned());
        depends.push("sotp-certs".to_owned());
        depends.extend(package.extra.depends.iter().cloned());
        let control = Control {
            name,
            architecture: architecture(),
            depends,
            recommends: Vec::new(),
            suggests: vec!["sotp".to_owned()],
            about: &package.service.about,
        };
        self.build(&tree, &control, &conffiles)
    }

    fn audit(&self, graph: &Graph) -> anyhow::Result<PathBuf> {
        let name = "sotp-audit";
        let tree = self.tree(name)?;
        self.program(&tree, name)?;
        self.documents(graph, &tree, name, name, &["docs/audit.md".to_owned()])?;
        let control = Control {
            name,
            architecture: architecture(),
            depends: vec!["libc6 (>= 2.36)".to_owned(), "libgcc-s1".to_owned()],
            recommends: Vec::new(),
            suggests: Vec::new(),
            about: "verifies and resumes the audit logs of SOTP's services",
        };
        self.build(&tree, &control, &[])
    }

    /// Who gives each part its certificate: at once when a service is started, and each hour.
    fn certificates(&self, graph: &Graph) -> anyhow::Result<PathBuf> {
        let name = "sotp-certs";
        let tree = self.tree(name)?;
        self.program(&tree, name)?;
        for unit in ["sotp-certs.service", "sotp-certs.timer"] {
            let text = self.read(&format!("packaging/sotp-certs/{unit}"))?;
            tree.file(&format!("/usr/lib/systemd/system/{unit}"), text)?;
        }
        tree.file(
            "/usr/lib/tmpfiles.d/sotp-certs.conf",
            format!("d {CERTIFICATES} 0755 root root\n"),
        )?;
        tree.file(
            "/usr/share/sotp-certs/parts.d/operator",
            self.read("packaging/sotp-certs/parts")?,
        )?;
        let flags = format!("/etc/default/{name}");
        tree.file(
            &flags,
            "# Further flags, such as --lifetime=7d.\nARGS=\"\"\n",
        )?;
        self.documents(graph, &tree, name, name, &["docs/packages.md".to_owned()])?;
        self.scripts(&tree, "sotp-certs.timer", name)?;
        let control = Control {
            name,
            architecture: architecture(),
            depends: vec!["libc6 (>= 2.36)".to_owned(), "libgcc-s1".to_owned()],
            recommends: Vec::new(),
            suggests: Vec::new(),
            about: "gives each part of SOTP a certificate by which the others know it, and renews it",
        };
        self.build(&tree, &control, &[flags])
    }

    /// A file of the component `tls` of Kubernetes, with the certificate of this part where the packages have it.
    pub(super) fn with_certificates(&self, file: &str, part: &str) -> anyhow::Result<String> {
        let text = self.read(&format!("kustomize/components/tls/{file}"))?;
        Ok(text.replace("/etc/sotp-tls/", &format!("{CERTIFICATES}/{part}/")))
    }

    pub(super) fn tree(&self, name: &str) -> anyhow::Result<Tree> {
        Tree::new(self.out.join("tree").join(name))
    }

    pub(super) fn read(&self, path: &str) -> anyhow::Result<String> {
        std::fs::read_to_string(self.root.join(path)).with_context(|| path.to_owned())
    }

    fn configuration(&self, package: &Packaged, file: &str) -> anyhow::Result<String> {
        let own = format!("packaging/etc/{file}");
        if self.root.join(&own).exists() {
            return self.read(&own);
        }
        self.read(&format!("{}/default.yml", package.service.folder))
    }

    /// A program without what only a debugger needs.
    fn program(&self, tree: &Tree, name: &str) -> anyhow::Result<()> {
        let from = self.programs.join(name);
        ensure!(from.is_file(), "{} is not built", from.display());
        let path = format!("/usr/bin/{name}");
        tree.program(&path, "")?;
        let to = tree.root().join(path.trim_start_matches('/'));
        run(Command::new("strip").arg("-o").arg(&to).arg(&from))
    }

    /// Licence, notices, parts list and pages.
    fn documents(
        &self,
        graph: &Graph,
        tree: &Tree,
        name: &str,
        krate: &str,
        pages: &[String],
    ) -> anyhow::Result<()> {
        let folder = format!("/usr/share/doc/{name}");
        tree.file(
            &format!("{folder}/copyright"),
            copyright(&self.read("LICENSE")?),
        )?;
        let notices = notices::notices(&self.root, graph, krate)?;
        tree.file(
            &format!("{folder}/THIRD-PARTY.md.gz"),
            gzip(notices.as_bytes())?,
        )?;
        let parts = notices::parts_list(graph, krate, &self.version)?;
        let parts = serde_json::to_string_pretty(&parts)?;
        tree.file(
            &format!("{folder}/parts.cdx.json.gz"),
            gzip(parts.as_bytes())?,
        )?;
        let changes = self.read("CHANGELOG.md")?;
        tree.file(&format!("{folder}/changelog.gz"), gzip(changes.as_bytes())?)?;
        let mut first = true;
        for page in pages {
            let text = self.read(page)?;
            let own = page.rsplit('/').next().unwrap_or(page);
            let file = if first { "README.md" } else { own };
            first = false;
            tree.file(&format!("{folder}/{file}"), text)?;
        }
        Ok(())
    }

    /// Those that dpkg calls: users and folders are there before a unit starts, units are started and stopped, nothing recorded is deleted.
    pub(super) fn scripts(&self, tree: &Tree, unit: &str, user: &str) -> anyhow::Result<()> {
        let fill = |text: &str| text.replace("@UNITS@", unit).replace("@NAMES@", user);
        for script in ["postinst", "prerm", "postrm"] {
            let text = self.read(&format!("packaging/{script}"))?;
            tree.program(&format!("/DEBIAN/{script}"), fill(&text))?;
        }
        Ok(())
    }

    pub(super) fn build(
        &self,
        tree: &Tree,
        control: &Control<'_>,
        conffiles: &[String],
    ) -> anyhow::Result<PathBuf> {
        let list = |name: &str, packages: &[String]| {
            if packages.is_empty() {
                String::new()
            } else {
                format!("{name}: {}\n", packages.join(", "))
            }
        };
        let text = format!(
            "Package: {}\nVersion: {}\nArchitecture: {}\nMaintainer: SOTP <sotp@localhost>\nSection: net\nPriority: optional\n{}{}{}Description: {}\n",
            control.name,
            self.version,
            control.architecture,
            list("Depends", &control.depends),
            list("Recommends", &control.recommends),
            list("Suggests", &control.suggests),
            control.about,
        );
        tree.file("/DEBIAN/control", text)?;
        if !conffiles.is_empty() {
            tree.file("/DEBIAN/conffiles", conffiles.join("\n") + "\n")?;
        }
        let file = self.out.join(format!(
            "{}_{}_{}.deb",
            control.name, self.version, control.architecture
        ));
        let packing: &[&str] = if self.fast { &["-Znone"] } else { &["-Zxz"] };
        run(Command::new("dpkg-deb")
            .args(packing)
            .args(["--root-owner-group", "--build"])
            .arg(tree.root())
            .arg(&file))?;
        Ok(file)
    }
}

/// Debian's name of the architecture that this was built for.
#[must_use]
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// <https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/>
fn copyright(license: &str) -> String {
    let text: String = license
        .lines()
        .map(|line| match line.trim_end() {
            "" => " .\n".to_owned(),
            line => format!(" {line}\n"),
        })
        .collect();
    format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: SOTP\nComment: the parts of others that the program is linked from are in THIRD-PARTY.md.gz\n\nFiles: *\nCopyright: the authors of SOTP\nLicense: Apache-2.0\n{text}"
    )
}

/// Packed without a time or a name, so that the same content is the same file.
pub(super) fn gzip(content: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(content)?;
    Ok(packed.finish()?)
}

pub(super) fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command
        .output()
        .with_context(|| format!("{} cannot be run", command.get_program().display()))?;
    ensure!(
        output.status.success(),
        "{}: {}",
        command.get_program().display(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// The folder of the packages, where nothing else is said.
#[must_use]
pub fn folder(root: &Path) -> PathBuf {
    root.join("target/deb")
}
