//! `docs/limits.md`, held against the services: each route has a row, each row a test, each series is there, no container has less memory
//! than its service may need; and what holds for every service.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::Value;
use sotp_checks::{files, manifests, pods, root, tools};
use testkit::{Process, Spawn, TempDir, client, eventually, services};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

fn page() -> String {
    std::fs::read_to_string(root().join("docs/limits.md")).unwrap()
}

/// The rows of a section's tables, without their heads; each as its cells.
fn rows(section: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| {
        let inner = line.trim().trim_matches('|');
        inner
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    let lines: Vec<&str> = section.lines().collect();
    let in_table = |at: usize| {
        lines[..at]
            .iter()
            .rev()
            .take_while(|line| line.starts_with('|'))
            .count()
    };
    let rows = lines.iter().enumerate();
    let rows = rows.filter(|(at, line)| line.starts_with('|') && in_table(*at) > 1);
    rows.map(|(_, line)| cells(line)).collect()
}

/// The text below each heading of the second and third level.
fn sections(page: &str) -> BTreeMap<&str, &str> {
    let parts = page.split("\n## ").flat_map(|part| part.split("\n### "));
    parts
        .map(|part| part.split_once('\n').unwrap_or((part, "")))
        .collect()
}

/// What stands in `code`.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Connections that a service takes here.
const CONNECTIONS: usize = 100;

/// A service with a configuration that is enough for it to start, on an address of its own.
pub(crate) async fn start(name: &str, dir: &TempDir) -> Process {
    start_of(name, &services::program(name), dir).await
}

/// The same of a program that stands for the service.
async fn start_of(name: &str, program: &std::path::Path, dir: &TempDir) -> Process {
    let config = match name {
        "sotp-syslog" => {
            "listen: {udp: [{address: '127.0.0.1:0'}], tcp: []}\nspool: {path: spool, max_bytes: 67108864, reserve_bytes: 1048576}\ndead_letters: {path: dead.jsonl}\nloki: [{name: a, url: 'http://127.0.0.1:9/'}]\n"
        }
        "sotp-netflow" => "listen: ['127.0.0.1:0']\n",
        "sotp-ssh-config" | "sotp-reporter" => "data: data\n",
        "sotp-remediator" => {
            "journal: {folder: journal}\nprometheus: {url: 'http://127.0.0.1:9'}\n"
        }
        _ => "",
    };
    let mut args = vec![
        "--log.level=debug".to_owned(),
        "--log.format=json".to_owned(),
        format!("--web.max-connections={CONNECTIONS}"),
    ];
    if !config.is_empty() {
        let config = dir.write("config.yaml", config).unwrap();
        args.push(format!("--config.file={}", config.display()));
    }
    if !["sotp-reporter", "sotp-rum", "sotp-forecast"].contains(&name) {
        let devices = dir.write("inventory.yaml", "devices: []\n").unwrap();
        args.push(format!("--inventory.source={}", devices.display()));
    }
    if name == "sotp-ping" {
        args.push("--ping.raw-sockets".to_owned());
    }
    if name == "sotp-snmp" {
        // Two thousand unless told otherwise, as scrapes of devices wait long.
        args.push("--web.max-requests=40".to_owned());
    }
    let process = Spawn::new(program).args(args).start().await;
    process.unwrap_or_else(|error| panic!("{name}: {error:#}"))
}

pub(crate) fn all() -> Vec<String> {
    let table = ::services::Table::ours().unwrap();
    table.service.into_iter().map(|one| one.name).collect()
}

#[tokio::test]
async fn every_route_of_every_service_has_a_row() {
    let page = page();
    let sections = sections(&page);
    let (mut problems, mut count) = (Vec::new(), 0);
    for name in all() {
        let dir = TempDir::new().unwrap();
        let process = start(&name, &dir).await;
        let routes = testkit::interface::routes(&process).await.unwrap();
        let routes: BTreeSet<String> = routes
            .into_iter()
            .map(|(method, path)| format!("{method} {path}"))
            .collect();
        count += routes.len();
        let section = sections.get(&*name).copied().unwrap_or_default();
        let told: BTreeSet<String> = rows(section)
            .iter()
            .flat_map(|row| code(&row[0]).map(str::to_owned).collect::<Vec<_>>())
            .collect();
        let missing = routes
            .difference(&told)
            .map(|it| format!("{name}: no row for {it}"));
        let gone = told
            .difference(&routes)
            .map(|it| format!("{name}: has no route {it}"));
        problems.extend(missing.chain(gone));
        if section.is_empty() {
            problems.push(format!("{name}: no section"));
        }
    }
    assert_eq!(problems, Vec::<String>::new());
    assert!(count > 80, "{count} routes: the log is not understood");
}

#[test]
fn every_row_names_a_test_that_there_is_and_a_series_that_there_is() {
    let page = page();
    let mut tests = BTreeSet::new();
    for folder in ["libs", "exporters", "remediator", "reporter", "checks"] {
        for file in rust(&root().join(folder)) {
            let text = std::fs::read_to_string(file).unwrap();
            let found = text
                .split("fn ")
                .skip(1)
                .filter_map(|rest| rest.split_once('('));
            tests.extend(found.map(|(name, _)| name.to_owned()));
        }
    }
    let mut series = String::new();
    for file in files(&root().join("docs/reference"), ".md").unwrap() {
        series.push_str(&std::fs::read_to_string(file).unwrap());
    }
    let (mut problems, mut count) = (Vec::new(), 0);
    for (title, section) in sections(&page) {
        let has_test = section.contains("| test |");
        for row in rows(section).iter().filter(|_| has_test) {
            count += 1;
            let test = row.last().and_then(|cell| code(cell).next());
            let test = test.unwrap_or_default();
            if !tests.contains(test) {
                problems.push(format!("{title}: there is no test {test:?}"));
            }
            if section.contains("| counted in |") {
                let counted = row[row.len() - 2].trim_matches('`');
                if !series.contains(&format!("`{counted}`")) {
                    problems.push(format!("{title}: there is no series {counted:?}"));
                }
            }
        }
    }
    assert_eq!(problems, Vec::<String>::new());
    assert!(count > 30, "{count}: the page is not understood");
}

/// Every file of Rust below a folder.
fn rust(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
    found
}

/// MiB of each service.
fn memory(page: &str) -> BTreeMap<String, u64> {
    let rows = rows(sections(page)["Memory"]);
    rows.into_iter()
        .map(|row| (row[0].clone(), row[1].parse().unwrap()))
        .collect()
}

/// MiB of `640Mi`, `1Gi`, `640m`, `1g`.
fn mib(text: &str) -> u64 {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().unwrap();
    match &text[digits.len()..] {
        "Gi" | "g" => number * 1024,
        "Mi" | "m" => number,
        other => panic!("{other}"),
    }
}

fn too_little(page: &str, given: &BTreeMap<String, u64>) -> Vec<String> {
    let wanted = memory(page).into_iter();
    let short = wanted.filter(|(name, bound)| given.get(name).is_none_or(|given| given < bound));
    short
        .map(|(name, bound)| format!("{name} may need {bound} MiB, has {:?}", given.get(&name)))
        .collect()
}

#[test]
fn no_container_has_less_memory_than_its_service_may_need() {
    let page = page();
    let known: Vec<String> = memory(&page).into_keys().collect();
    let mut wanted = all();
    wanted.sort();
    assert_eq!(known, wanted);
    let kubectl = tools::kubectl(&root());
    for overlay in ["all-in-one", "production"] {
        let folder = root().join("kustomize/overlays").join(overlay);
        let (_, objects) = manifests::build(&kubectl, &folder).unwrap();
        let given: BTreeMap<String, u64> = objects
            .iter()
            .filter_map(|object| Some((object, pods::template(object)?)))
            .map(|(object, pod)| {
                let name = object["metadata"]["name"].as_str().unwrap();
                let limit = &pod["spec"]["containers"][0]["resources"]["limits"]["memory"];
                (format!("sotp-{name}"), mib(limit.as_str().unwrap()))
            })
            .collect();
        assert_eq!(too_little(&page, &given), Vec::<String>::new(), "{overlay}");
    }
    let compose = std::fs::read_to_string(root().join("compose.yaml")).unwrap();
    let compose: Value = serde_saphyr::from_str(&compose).unwrap();
    let given: BTreeMap<String, u64> = compose["services"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, service)| {
            let own = service["mem_limit"].as_str();
            let limit = own.or(service["<<"]["mem_limit"].as_str());
            (format!("sotp-{name}"), mib(limit.unwrap()))
        })
        .collect();
    assert_eq!(
        too_little(&page, &given),
        Vec::<String>::new(),
        "compose.yaml"
    );
    let less = given.into_keys().map(|name| (name, 1)).collect();
    assert_eq!(too_little(&page, &less).len(), all().len());
}

/// One address holds every connection of the service with bodies that never come.
async fn hold(address: SocketAddr, connections: usize) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for number in 0..connections {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let method = ["GET", "POST"][number % 2];
        let path = [
            "/metrics",
            "/config",
            "/no-such-page",
            "/api/v1/openapi.json",
        ][number % 4];
        let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc");
        // Those past the bound are closed.
        let _ = stream.write_all(head.as_bytes()).await;
        held.push(stream);
    }
    held
}

/// What another address is told.
async fn asked_from_another_address(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let socket = TcpSocket::new_v4()?;
    socket.bind("127.0.0.2:0".parse()?)?;
    let mut stream = socket.connect(address).await?;
    let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

/// Health and metrics have lanes of their own, and an address for itself is not kept out by another one.
#[tokio::test]
async fn every_service_answers_health_and_metrics_while_strangers_hold_what_they_can() {
    for name in all() {
        let dir = TempDir::new().unwrap();
        let process = start(&name, &dir).await;
        let address: SocketAddr = process.address().parse().unwrap();
        let held = hold(address, CONNECTIONS + 20).await;
        for path in ["/-/healthy", "/metrics", "/config"] {
            let asked = async || {
                let told = asked_from_another_address(address, path).await?;
                anyhow::ensure!(told == "HTTP/1.1 200 OK", "{name} {path}: {told}");
                Ok(())
            };
            eventually(Duration::from_secs(20), asked).await.unwrap();
        }
        drop(held);
    }
}

/// No file may grow: to whoever writes that is a disk without room. Each service that was there before is there again, and tells; but for
/// the remediator, which may do nothing without its journal: it ends and says so.
#[tokio::test]
async fn every_service_starts_again_where_the_disk_has_no_room() {
    for name in all() {
        let dir = TempDir::new().unwrap();
        let mut process = start(&name, &dir).await;
        process.terminate().unwrap();
        process.wait(Duration::from_secs(30)).await.unwrap();
        let script = format!(
            "#!/bin/sh\ntrap '' XFSZ\nulimit -f 1\nexec {} \"$@\"\n",
            services::program(&name).display()
        );
        let limited = dir.write("limited", script).unwrap();
        std::fs::set_permissions(&limited, PermissionsExt::from_mode(0o755)).unwrap();
        let process = start_of(&name, &limited, &dir).await;
        if name == "sotp-remediator" {
            let why = "the journal cannot be written or read";
            process.logged(why, Duration::from_secs(20)).await.unwrap();
            continue;
        }
        for path in ["/-/healthy", "/metrics", "/config"] {
            let answer = process.get(path).await;
            let answer = answer.unwrap_or_else(|_| panic!("{name}: {}", process.log()));
            assert_eq!(answer.0, 200, "{name} {path}");
        }
    }
}

/// No answer is taken for something else than it says, whatever went wrong.
#[tokio::test]
async fn every_answer_of_every_service_says_nosniff() {
    let mut problems = Vec::new();
    for name in all() {
        let dir = TempDir::new().unwrap();
        let process = start(&name, &dir).await;
        for (method, path, body) in [
            ("GET", "/", ""),
            ("GET", "/metrics", ""),
            ("HEAD", "/-/ready", ""),
            ("GET", "/config", ""),
            ("POST", "/-/reload", ""),
            ("GET", "/no-such-page", ""),
            ("DELETE", "/metrics", ""),
            ("POST", "/collect", "{\"a\":1,\"a\":2}"),
            ("POST", "/api/v1/devices", "{"),
            ("POST", "/api/v1/jobs", "{}"),
            ("POST", "/api/v1/reports", "{}"),
            ("GET", "/api/v1/devices/none/versions", ""),
            ("GET", "/snmp", ""),
            ("GET", "/probe", ""),
        ] {
            let request = client().request(method.parse().unwrap(), process.url(path));
            let answer = request.body(body).send().await.unwrap();
            let sniff = answer.headers().get("x-content-type-options");
            if sniff.is_none_or(|it| it != "nosniff") {
                problems.push(format!("{name} {method} {path}: {}", answer.status()));
            }
        }
    }
    assert_eq!(problems, Vec::<String>::new());
}
