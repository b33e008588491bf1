//! Where people come through Grafana, whose apps show no certificate, none is a must: whoever shows neither a certificate nor the token of a
//! person is refused whatever changes something and whatever is not for everybody, by each route that the service has.

use std::path::{Path, PathBuf};
use std::process::Command;

use services::{Callers, Table};
use sotp_checks::root;
use testkit::{Process, Spawn, TempDir, services::program};

/// Each route of the service with who may call it, from `docs/limits.md`, which another test holds to the routes that there are.
fn routes(service: &str) -> Vec<(String, String, String)> {
    let page = std::fs::read_to_string(root().join("docs/limits.md")).unwrap();
    let (_, section) = page.split_once(&format!("\n### {service}\n")).unwrap();
    let section = section.split("\n##").next().unwrap();
    let mut routes = Vec::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        for route in cells[1].split('`').skip(1).step_by(2) {
            let (method, path) = route.split_once(' ').unwrap();
            routes.push((method.to_owned(), path.to_owned(), cells[2].to_owned()));
        }
    }
    routes
}

/// The path with something in each of its places.
fn filled(path: &str) -> String {
    let mut filled = String::new();
    for part in path.split_inclusive(['{', '}']) {
        match part.strip_suffix('}') {
            Some(name) => filled += if name == "id" { "1" } else { "x" },
            None => filled += part.trim_end_matches('{'),
        }
    }
    filled
}

/// The service as it is deployed with certificates, with `CN=operator` as its admin and a Grafana that nobody answers for.
async fn start(service: &str, dir: &TempDir, web: &Path) -> Process {
    let certificates = dir.join("tls");
    let access = format!(
        "access:\n  certificates: {{\"CN=operator\": admin}}\n  grafana: {{url: 'https://127.0.0.1:9/', ca_file: {}}}\naudit: {{folder: audit}}\n",
        certificates.join("operator/ca.crt").display()
    );
    let own = match service {
        "sotp-inventory" => access,
        "sotp-rum" => "origins: ['https://shop.example.net']\n".to_owned(),
        "sotp-remediator" => format!(
            "journal: {{folder: journal}}\nprometheus: {{url: 'http://127.0.0.1:9'}}\n{access}"
        ),
        _ => format!("data: data\n{access}"),
    };
    let config = dir.write(format!("{service}.yaml"), own).unwrap();
    let mut args = vec![
        format!("--config.file={}", config.display()),
        format!("--web.config.file={}", web.display()),
    ];
    if !["sotp-reporter", "sotp-rum"].contains(&service) {
        let devices = dir.write("inventory.yaml", "devices: []\n").unwrap();
        args.push(format!("--inventory.source={}", devices.display()));
    }
    let spawn = Spawn::new(program(service)).args(args).https();
    let process = spawn.start().await;
    process.unwrap_or_else(|error| panic!("{service}: {error:#}"))
}

/// Who calls, and as what they do so.
struct Caller<'a> {
    tls: &'a Path,
    certificate: bool,
    fields: &'a [&'a str],
}

impl Caller<'_> {
    /// The status of the answer to each of these calls, in their order.
    fn calls(&self, process: &Process, calls: &[(String, String)]) -> Vec<u16> {
        let mut curl = Command::new("curl");
        for (at, (method, path)) in calls.iter().enumerate() {
            if at > 0 {
                curl.arg("--next");
            }
            curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}\n", "-m", "30"]);
            curl.arg("--cacert").arg(self.tls.join("ca.crt"));
            if self.certificate {
                curl.arg("--cert").arg(self.tls.join("tls.crt"));
                curl.arg("--key").arg(self.tls.join("tls.key"));
            }
            for field in self.fields {
                curl.args(["-H", field]);
            }
            if method != "GET" {
                curl.args(["-H", "content-type: application/json", "-d", "{}"]);
            }
            curl.args(["-X", method]).arg(process.url(path));
        }
        let said = curl.output().unwrap();
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let codes: Vec<u16> = text.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(codes.len(), calls.len(), "{text}");
        codes
    }
}

/// Certificates of a service and of `operator`, and the web configuration that the deployments give to such services.
fn secured(service: &str, callers: Callers, dir: &TempDir) -> PathBuf {
    let app = service.trim_start_matches("sotp-");
    let status = Command::new(program("sotp-certs"))
        .arg(format!("--folder={}", dir.join("tls").display()))
        .args([app, "operator"])
        .stdout(std::process::Stdio::null())
        .status();
    assert!(status.unwrap().success());
    let web = root()
        .join("kustomize/components/tls/web")
        .join(callers.web_config());
    let own = dir.join("tls").join(app).display().to_string();
    let web = std::fs::read_to_string(web)
        .unwrap()
        .replace("/etc/sotp-tls", &own);
    dir.write("web.yaml", web).unwrap()
}

#[tokio::test]
async fn who_shows_neither_a_certificate_nor_a_token_is_refused_what_is_not_for_everybody() {
    let table = Table::ours().unwrap();
    let open = table
        .service
        .iter()
        .filter(|it| it.callers == Callers::People);
    let mut count = 0;
    for service in open {
        let name = &service.name;
        let dir = TempDir::new().unwrap();
        let web = secured(name, service.callers, &dir);
        let process = start(name, &dir, &web).await;
        let (tls, mut guarded, mut known) = (dir.join("tls/operator"), Vec::new(), Vec::new());
        for (method, path, who) in routes(name) {
            // The description of the calls is for everybody.
            if path == "/api/v1/openapi.json" {
                continue;
            }
            let call = (method.clone(), filled(&path));
            if method != "GET" || !who.starts_with("anybody") {
                // What a token or a signature of its own proves is no certificate's to open.
                if who.starts_with("callers") {
                    known.push(call.clone());
                }
                guarded.push(call);
            }
        }
        assert!(guarded.len() > 4 && known.len() > 3, "{name}: {guarded:?}");
        // A token that nobody signed, and fields that Grafana does not sign, make nobody known.
        for fields in [
            &[][..],
            &["x-grafana-id: e30.e30.e30"],
            &["x-grafana-user: admin", "x-forwarded-for: 127.0.0.1"],
        ] {
            let stranger = Caller {
                tls: &tls,
                certificate: false,
                fields,
            };
            let answers = stranger.calls(&process, &guarded);
            for (call, status) in guarded.iter().zip(answers) {
                // Not even what is wrong with what they sent is said to them.
                assert!(
                    [401, 403].contains(&status),
                    "{name} {call:?} {fields:?}: {status}"
                );
                count += 1;
            }
        }
        // The same calls of who shows the certificate of an admin are not refused for who they are.
        let admin = Caller {
            tls: &tls,
            certificate: true,
            fields: &[],
        };
        let answers = admin.calls(&process, &known);
        for (call, status) in known.iter().zip(answers) {
            assert!(![401, 403].contains(&status), "{name} {call:?}: {status}");
        }
    }
    assert!(count > 150, "{count}");
}

/// Browsers have no certificate: pages of the named origins may post, those of others may not.
#[tokio::test]
async fn browsers_post_without_a_certificate_from_the_named_origins_only() {
    let dir = TempDir::new().unwrap();
    let web = secured("sotp-rum", Callers::Browsers, &dir);
    let process = start("sotp-rum", &dir, &web).await;
    let from = |origin: &str| {
        let (tls, field) = (dir.join("tls/operator"), format!("origin: {origin}"));
        let browser = Caller {
            tls: &tls,
            certificate: false,
            fields: &[&field],
        };
        browser.calls(&process, &[("POST".to_owned(), "/collect".to_owned())])[0]
    };
    assert_eq!(from("https://elsewhere.example.net"), 403);
    let taken = from("https://shop.example.net");
    assert!((200..300).contains(&taken), "{taken}");
}
