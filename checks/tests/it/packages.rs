//! The packages: installed, run, upgraded and purged; the image: unpacked and run.

use std::path::{Path, PathBuf};
use std::process::Command;

use sotp_checks::packages::notices::{self, Graph};
use sotp_checks::packages::{self, deb, image};
use sotp_checks::{root, tools};
use testkit::TempDir;

fn make(out: &Path, version: &str) -> deb::Make {
    deb::Make {
        root: root(),
        programs: testkit::services::folder(),
        out: out.to_owned(),
        app: root().join("target/app/dist"),
        version: version.to_owned(),
        fast: true,
    }
}

/// Both versions of all, in `first` and `second`: the second has the same files.
fn made(folder: &TempDir) {
    let names = packages::all(&root()).unwrap();
    let programs = names.iter().flat_map(packages::Packaged::programs);
    let _ = testkit::services::programs(programs.chain(["sotp-audit", "sotp-certs"]));
    make(&folder.join("first"), "0.1.0").packages(&[]).unwrap();
    let again = "mkdir \"$2\"; for tree in \"$1\"/*; do sed -i 's/\\b0\\.1\\.0\\b/0.1.1/g' $tree/DEBIAN/control; \
                 dpkg-deb -Znone --root-owner-group --build $tree \"$2\"; done";
    let [trees, second] = ["first/tree", "second"].map(|name| folder.join(name));
    let [trees, second] = [&trees, &second].map(|path| path.display().to_string());
    tools::run("sh", &["-euc", again, "sh", &trees, &second]).unwrap();
}

/// The Debian that `make test` makes by debootstrap, or this one where that could not be made.
fn debian() -> PathBuf {
    let bare = root().join("target/debian-bare");
    if bare.exists() {
        return bare;
    }
    testkit::skip(
        "no bare Debian is in target/debian-bare (target/debian.log says why): packages live on a view of this machine",
    );
    PathBuf::from("/")
}

fn is_root() -> bool {
    let id = tools::run("id", &["-u"]).unwrap();
    let debian = Path::new("/etc/debian_version").exists();
    if id.trim() != "0" || !debian {
        testkit::skip("packages are installed by root on Debian only");
    }
    id.trim() == "0" && debian
}

/// On a copy-on-write view of a Debian: what is written stays in the view.
#[test]
fn each_package_is_installed_run_as_its_user_upgraded_and_purged() {
    if !is_root() {
        return;
    }
    let folder = TempDir::new().unwrap();
    made(&folder);
    let script = root().join("checks/tests/packages/outside.sh");
    let output = Command::new("unshare")
        .args([
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "bash",
        ])
        .args([&script, &debian(), folder.path(), &folder.join("machine")])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{wrong}");
    let rules = sotp_checks::files(&root().join("alerts/rules"), ".yaml").unwrap();
    let whole = format!("whole: {} rule files\n", rules.len());
    for line in [
        "installed: sotp-forecast ",
        &whole,
        "ran: sotp-forecast ",
        "refused without a certificate: sotp-forecast ",
        "scraped: 13 jobs\n",
        "renewed: 13 parts while they run\n",
        "restarted: sotp-syslog with 600 lines\n",
        "upgraded: sotp-forecast 0.1.1 ",
        "upgraded: sotp-syslog 0.1.1 ",
        "purged\n",
    ] {
        assert!(said.contains(line), "{line:?} in {said}");
    }
    assert_eq!(said.matches("upgraded: ").count(), 11, "{said}");
    println!("{said}");
}

#[test]
fn a_unit_has_no_more_rights_than_it_says() {
    for unit in ["sotp/sotp-backup.service", "sotp-certs/sotp-certs.service"] {
        let unit = root().join("packaging").join(unit).display().to_string();
        let security = ["security", "--offline=true", "--threshold=20", &unit];
        tools::run("systemd-analyze", &security).unwrap();
    }
    let folder = TempDir::new().unwrap();
    let template = std::fs::read_to_string(root().join("packaging/unit.service")).unwrap();
    for package in packages::all(&root()).unwrap() {
        let unit = package.unit(&template);
        assert!(!unit.contains(['{', '}']), "{unit}");
        let name = format!("{}.service", package.service.name);
        let file = folder.write(&name, &unit).unwrap();
        let path = file.display().to_string();
        // The threshold counts tenths.
        let exposed = ["security", "--offline=true", "--threshold=20", &path];
        let judged = tools::run("systemd-analyze", &exposed);
        assert!(judged.is_ok(), "{name}: {judged:?}");
        let open = unit
            .replace("NoNewPrivileges=yes", "")
            .replace("ProtectSystem=strict", "");
        let open = open
            .replace("SystemCallFilter=", "#")
            .replace("PrivateDevices=yes", "");
        std::fs::write(&file, open).unwrap();
        assert!(
            tools::run("systemd-analyze", &exposed).is_err(),
            "{name} without protection"
        );
    }
}

/// With the app where it was built, which Grafana is then told of; without it Grafana would not start with the same file.
#[test]
fn the_whole_has_the_app_where_it_was_built() {
    let folder = TempDir::new().unwrap();
    let built = folder.join("app");
    std::fs::create_dir_all(built.join("img")).unwrap();
    std::fs::write(built.join("plugin.json"), "{}").unwrap();
    std::fs::write(built.join("img/logo.svg"), "").unwrap();
    for (app, with) in [(built, true), (folder.join("none"), false)] {
        let mut make = make(&folder.join("out"), "0.1.0");
        make.app = app;
        let packages = make.packages(&["sotp".to_owned()]).unwrap();
        let package = packages[0].display().to_string();
        let files = tools::run("dpkg-deb", &["--contents", &package]).unwrap();
        for file in [
            "/usr/share/sotp/grafana-app/img/logo.svg",
            "/etc/grafana/provisioning/plugins/sotp.yaml",
        ] {
            assert_eq!(files.contains(file), with, "{file}");
        }
        let unit = packed(
            &package,
            "/usr/lib/systemd/system/grafana-server.service.d/sotp.conf",
        );
        assert_eq!(unit.contains("plugins/sotp-app"), with, "{unit}");
        assert!(unit.contains("SSL_CERT_DIR="), "{unit}");
    }
}

/// What is in a file of a package.
fn packed(package: &str, path: &str) -> String {
    let script = format!("dpkg-deb --fsys-tarfile {package} | tar -xO .{path}");
    tools::run("sh", &["-c", &script]).unwrap()
}

/// They listen on this machine only, let nobody in without a certificate, and write where their units let them.
#[test]
fn loki_and_tempo_of_their_publishers_are_set_up_by_the_whole() {
    let folder = TempDir::new().unwrap();
    let made = make(&folder.join("out"), "0.1.0")
        .packages(&["sotp".to_owned()])
        .unwrap();
    let package = made[0].display().to_string();
    for (part, ports) in [("loki", &["3100"][..]), ("tempo", &["3200", "4318"])] {
        let unit = packed(
            &package,
            &format!("/usr/lib/systemd/system/{part}.service.d/sotp.conf"),
        );
        let command = format!(
            "\nExecStart=\n# Its package has it in /usr/bin or /usr/local/bin.\nExecStart={part} -config.file=/etc/sotp/{part}.yaml\n"
        );
        for line in [
            command,
            format!("\nStateDirectory={part}\n"),
            format!("\nSupplementaryGroups=sotp-{part}\n"),
        ] {
            assert!(unit.contains(&line), "{line} in {unit}");
        }
        let text = packed(&package, &format!("/etc/sotp/{part}.yaml"));
        let config: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let server = &config["server"];
        assert_eq!(server["http_listen_address"], "127.0.0.1");
        assert_eq!(server["grpc_listen_address"], "127.0.0.1");
        // Both would take 9095 if they were not told: the second did not start.
        let own = (part == "tempo").then(|| serde_json::json!(9096));
        assert_eq!(server.get("grpc_listen_port").cloned(), own);
        let tls = &server["http_tls_config"];
        assert_eq!(tls["client_auth_type"], "RequireAndVerifyClientCert");
        for (key, file) in [
            ("cert_file", "tls.crt"),
            ("key_file", "tls.key"),
            ("client_ca_file", "ca.crt"),
        ] {
            assert_eq!(tls[key], format!("/var/lib/sotp-certs/{part}/{file}"));
        }
        for port in ports {
            assert!(text.contains(port), "{port} in {text}");
        }
        let elsewhere = text.lines().filter(|line| {
            line.contains(": /")
                && !line.contains(&format!(": /var/lib/{part}"))
                && !line.contains("/var/lib/sotp-certs/")
        });
        assert_eq!(elsewhere.collect::<Vec<_>>(), Vec::<&str>::new());
        assert!(!text.contains("0.0.0.0"), "{text}");
    }
}

#[test]
fn every_service_has_a_package_and_each_file_in_the_folder_is_of_one() {
    let all = packages::all(&root()).unwrap();
    let mut named: Vec<String> = all
        .iter()
        .flat_map(|one| one.extra.config.iter().chain(&one.extra.conffiles))
        .filter(|file| *file != "snmp.yml")
        .cloned()
        .collect();
    named.sort();
    let files = sotp_checks::files(&root().join("packaging/etc"), "").unwrap();
    let files: Vec<String> = files
        .iter()
        .map(|file| file.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(named, files);
}

#[test]
fn the_notices_of_every_program_have_each_part_with_its_licence() {
    let graph = Graph::read(&root()).unwrap();
    for package in packages::all(&root()).unwrap() {
        let name = &package.service.name;
        let text = notices::notices(&root(), &graph, name).unwrap();
        for part in graph.parts(name).unwrap() {
            let listed = format!("- {} {}: ", part.name, part.version);
            assert!(text.contains(&listed), "{name}: {listed}");
        }
        assert!(
            text.contains("- tokio ") && text.contains("Tokio Contributors"),
            "{name}"
        );
        // What only tests need is not handed out.
        assert!(
            !text.contains("- proptest ") && !text.contains("- testkit "),
            "{name}"
        );
        let list = notices::parts_list(&graph, name, "0.1.0").unwrap();
        let listed = list["components"].as_array().unwrap().len();
        assert_eq!(listed, graph.parts(name).unwrap().len());
    }
    assert!(notices::notices(&root(), &graph, "sotp-none").is_err());
}

/// umoci (Debian), which is not ours, finds the image whole; the program in it runs as its user on a root that nobody may write.
#[test]
fn an_image_made_without_an_engine_is_whole_and_runs() {
    if !is_root() {
        return;
    }
    let Ok(umoci) = testkit::debian::Unpacked::new("umoci") else {
        testkit::skip("umoci cannot be had from Debian");
        return;
    };
    let folder = TempDir::new().unwrap();
    let _ = testkit::services::programs(["sotp-audit"]);
    let out = folder.join("image");
    let programs = testkit::services::folder();
    image::make(&root(), &programs, "sotp-audit", "0.1.0", &out).unwrap();
    let sum = std::fs::read(out.join("index.json")).unwrap();
    image::make(&root(), &programs, "sotp-audit", "0.1.0", &out).unwrap();
    assert_eq!(
        std::fs::read(out.join("index.json")).unwrap(),
        sum,
        "the same again"
    );
    let bundle = folder.join("bundle");
    let unpack = umoci
        .command("usr/bin/umoci")
        .args(["unpack", "--image"])
        .arg(format!("{}:0.1.0", out.display()))
        .arg(&bundle)
        .output()
        .unwrap();
    assert!(
        unpack.status.success(),
        "{}",
        String::from_utf8_lossy(&unpack.stderr)
    );
    let config = std::fs::read_to_string(bundle.join("config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["process"]["user"]["uid"], 65_532);
    assert_eq!(config["process"]["args"][0], "/service");
    let inside: PathBuf = bundle.join("rootfs");
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && exec chroot --userspec=65532:65532 --groups= \"$0\" /service --version"])
        .arg(&inside)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.starts_with("sotp-audit 0.1.0"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        inside
            .join("usr/share/doc/sotp-audit/THIRD-PARTY.md")
            .is_file()
    );
}
