//! `sotp-lab stack up` with stand-ins for Grafana, Loki and Tempo, which no package brings: what they
//! are told, that they are waited for, and that the stack stands without them. The real programs have
//! not been run here.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::processes::{LAB, Mark, among_others, binaries, ended, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use testkit::TempDir;

/// Says its version, or notes its environment and answers 200 to everything on the port it was told, with the certificate it was told.
const STAND_IN: &str = r#"#!/usr/bin/env python3
import http.server, os, re, ssl, sys
if "--version" in sys.argv:
    print("VERSION"); sys.exit(0)
configs = [a.split("=", 1)[1] for a in sys.argv if a.startswith("-config.file=")]
text = open(configs[0]).read() if configs else ""
if sys.argv[0].endswith("tempo"):
    for flag in sys.argv[1:]:
        if not flag.startswith("-config.file="):
            sys.exit("flag provided but not defined: " + flag)
port = os.environ.get("GF_SERVER_HTTP_PORT") or re.search(r"http_listen_port: (\d+)", text).group(1)
note = os.environ["NOTES"] + "/" + os.path.basename(sys.argv[0])
open(note, "w").write("\n".join([" ".join(sys.argv[1:])] + ["%s=%s" % e for e in sorted(os.environ.items())]))
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("content-length", "0"); self.end_headers()
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Answer)
section = dict(re.findall(r'^    (cert_file|key_file|client_auth_type|client_ca_file): "?(.+?)"?$', text, re.M))
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(
    os.environ.get("GF_SERVER_CERT_FILE") or section["cert_file"],
    os.environ.get("GF_SERVER_CERT_KEY") or section["key_file"])
if section:
    assert "http_tls_config:" in text and section["client_auth_type"] == "RequireAndVerifyClientCert"
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(section["client_ca_file"])
server.socket = tls.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"#;

fn stand_in(path: &Path, version: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, STAND_IN.replace("VERSION", version)).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn programs_in_the_stack_folder_are_started_and_told_of_each_other() {
    let _machine = among_others();
    let folder = TempDir::new().unwrap();
    let (programs, notes) = (folder.join("programs"), folder.join("notes"));
    std::fs::create_dir_all(&notes).unwrap();
    stand_in(
        &programs.join("grafana-13.2.0/bin/grafana"),
        "grafana version 13.2.0",
    );
    std::fs::create_dir_all(programs.join("grafana-13.2.0/conf")).unwrap();
    std::fs::write(programs.join("grafana-13.2.0/conf/defaults.ini"), "").unwrap();
    stand_in(&programs.join("tempo"), "tempo, version 3.0.3 (branch: x)");
    // It says what it is and then cannot read its configuration.
    let broken = programs.join("loki");
    std::fs::write(&broken, "#!/bin/sh\n[ \"$1\" = --version ] && echo 'loki, version 3.7.6' && exit\necho 'bad config' >&2\nexit 64\n").unwrap();
    std::fs::set_permissions(&broken, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(
        folder.join("inventory.yaml"),
        "sites: [{name: here}]\ndevices: [{name: self, address: 127.0.0.1, site: here}]\n",
    )
    .unwrap();

    let mark = Mark::new();
    let out = File::create(folder.join("out")).unwrap();
    let prepare = "ip link set lo up && echo '0 0' > /proc/sys/net/ipv4/ping_group_range && exec \"$0\" stack up \"$@\"";
    let mut child = Command::new("unshare")
        .args([
            if geteuid().is_root() { "-n" } else { "-rn" },
            "--",
            "sh",
            "-c",
            prepare,
            LAB,
        ])
        .arg("--inventory")
        .arg(folder.join("inventory.yaml"))
        .arg("--bin-dir")
        .arg(binaries())
        .arg("--state-dir")
        .arg(folder.join("state"))
        .env(Mark::KEY, mark.word())
        .env("NOTES", &notes)
        .env("SOTP_STACK_DIR", &programs)
        .stdin(Stdio::null())
        .stdout(out.try_clone().unwrap())
        .stderr(out)
        .spawn()
        .unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    eventually("the table", Duration::from_secs(60), || {
        let out = read("out");
        if out.contains("Ctrl-C ends all of it") {
            Ok(())
        } else {
            Err(out)
        }
    });
    // People reach Grafana through the gate, and what their browsers measure goes to sotp-rum.
    let gate = ["/usr/sbin/nginx", "/usr/bin/nginx"].map(Path::new);
    let gate = gate.iter().any(|path| path.exists());
    if gate {
        let door = folder.join("state/grafana.sock");
        let ask = |request: &str, length: usize| {
            let head = format!(
                "{request} HTTP/1.1\r\nhost: 127.0.0.1:3000\r\norigin: http://127.0.0.1:3000\r\n\
                 content-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            answer(&door, &head)
        };
        assert!(ask("GET /d/x", 0).starts_with("HTTP/1.1 200 "));
        assert!(ask("GET /rum/collect", 0).starts_with("HTTP/1.1 403 "));
        let said = ask("POST /rum/collect", 0);
        assert!(said.contains("expected a payload of Faro"), "{said}");
    }
    kill(
        Pid::from_raw(i32::try_from(child.id()).unwrap()),
        Signal::SIGTERM,
    )
    .unwrap();
    assert_eq!(ended(&mut child, Duration::from_secs(20)).code(), Some(0));
    mark.assert_gone(Duration::from_secs(2));

    let table = read("out");
    let row = |name: &str| {
        table
            .lines()
            .find(|line| line.trim_start().starts_with(name))
            .unwrap_or_default()
            .to_owned()
    };
    assert!(
        row("Grafana").contains("13.2.0") && row("Grafana").contains("http://127.0.0.1:3000/"),
        "{table}"
    );
    assert!(row("Tempo").contains("http://127.0.0.1:3200"), "{table}");
    assert!(
        row("Loki").contains("failed") && row("Loki").contains("bad config"),
        "{table}"
    );

    let grafana = read("notes/grafana");
    let value = |key: &str| {
        grafana
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap_or_default()
            .to_owned()
    };
    assert!(grafana.starts_with("server --homepath "), "{grafana}");
    // It asks through the gate; without one nobody may look unasked.
    let port = if gate { 19191 } else { 19090 };
    assert_eq!(
        value("SOTP_PROMETHEUS_URL="),
        format!("https://127.0.0.1:{port}")
    );
    assert_eq!(value("GF_AUTH_ANONYMOUS_ENABLED="), gate.to_string());
    let collect = if gate {
        "/rum/collect"
    } else {
        "http://127.0.0.1:19887/collect"
    };
    assert_eq!(value("GF_LOG_FRONTEND_CUSTOM_ENDPOINT="), collect);
    assert_eq!(value("SOTP_SCRAPE_INTERVAL="), "15s");
    assert_eq!(value("GF_SERVER_HTTP_ADDR="), "127.0.0.1");
    for folder in ["datasources", "dashboards"] {
        let there = Path::new(&value("GF_PATHS_PROVISIONING=")).join(folder);
        assert!(there.is_dir(), "{}", there.display());
    }
    assert!(Path::new(&value("GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH=")).is_file());
    assert!(
        Path::new(&value("SOTP_DASHBOARDS_PATH="))
            .join("network")
            .is_dir()
    );
    // Grafana itself knows this form; it does not know names that end in `__FILE`.
    let password = value("GF_SECURITY_ADMIN_PASSWORD=");
    let file = password
        .strip_prefix("$__file{")
        .and_then(|rest| rest.strip_suffix('}'))
        .unwrap();
    assert_eq!(std::fs::read_to_string(file).unwrap().len(), 24);
    assert!(!grafana.contains("__FILE="), "{grafana}");
    assert_eq!(read("state/grafana.password").len(), 24);
    assert!(
        !grafana.contains(&read("state/grafana.password")),
        "the password is in no environment"
    );

    let provisioning = Path::new(&value("GF_PATHS_PROVISIONING=")).to_path_buf();
    assert_eq!(
        unset_variables(&provisioning, &grafana),
        Vec::<String>::new(),
        "provisioning reads variables that are not set"
    );
}

/// What is answered behind a unix socket.
fn answer(socket: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said
}

/// The variables `${NAME}` in provisioning files that the environment lacks.
fn unset_variables(folder: &Path, environment: &str) -> Vec<String> {
    let mut unset = Vec::new();
    for entry in std::fs::read_dir(folder)
        .unwrap()
        .flatten()
        .flat_map(|entry| std::fs::read_dir(entry.path()).unwrap().flatten())
    {
        let text = std::fs::read_to_string(entry.path()).unwrap();
        for line in text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
        {
            // `$$` is a dollar of Grafana's own.
            for part in line.replace("$$", "").split("${").skip(1) {
                let name = part.split('}').next().unwrap();
                if !environment
                    .lines()
                    .any(|line| line.starts_with(&format!("{name}=")))
                {
                    unset.push(name.to_owned());
                }
            }
        }
    }
    unset
}
