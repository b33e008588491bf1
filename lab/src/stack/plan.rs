//! From what was found to what is started: configuration files, processes, forwarded ports.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::services::Callers;
use ::services::prometheus::{Settings, Target, with_tls};
use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::args::Common;
use super::configs::{alertmanager, gate, grafana, loki, quoted, template, tempo};
use super::doubles;
use super::forward::{self, Inner};
use super::home::Home;
use super::output::Show;
use super::ports;
use super::process::Process;
use super::programs::{
    ALERTMANAGER, GRAFANA, Kind, LOKI, MOSQUITTO, PROMETHEUS, Program, TEMPO, on_path,
};
use super::provision;
use super::services::{self, Devices, INVENTORY, Service};
use super::tls::Certificates;

/// Names and ports of everything that can listen, ours aside.
const OTHERS: [(&str, u16); 14] = [
    ("prometheus", 9090),
    ("alertmanager", 9093),
    ("grafana", 3000),
    ("loki", 3100),
    ("loki-grpc", 9095),
    ("tempo", 3200),
    ("tempo-grpc", 9096),
    ("otlp-grpc", 4317),
    ("otlp-http", 4318),
    ("mosquitto", 1883),
    ("gate-loki", 3101),
    ("gate-tempo", 3201),
    ("gate-prometheus", 9191),
    ("gate-grafana", 3010),
];

/// What browsers report to.
const RUM: &str = "sotp-rum";

/// Where spans are sent.
const SPANS: &str = "otlp-http";

/// Seconds between two refreshes of a device's own counters, or a little more: the net-snmp of a lab has new ones each 3 s. A rate over less
/// than four of them is now nothing and now twice too much, so that Grafana is told this where Prometheus asks more often.
const REFRESH: u64 = 5;

/// The port of each listener by its name.
pub(crate) type Ports = BTreeMap<String, u16>;

/// The ports that everything has when nothing is in the way.
pub(crate) fn usual_ports() -> Ports {
    let ours = services::launched().map(|service| (service.name.as_str(), service.port));
    OTHERS
        .into_iter()
        .chain(ours)
        .map(|(name, port)| (name.to_owned(), port))
        .collect()
}

/// The programs that were found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Ours, each with its binary.
    pub(crate) services: Vec<(&'static Service, PathBuf)>,
    /// Prometheus.
    pub(crate) prometheus: Program,
    /// Alertmanager.
    pub(crate) alertmanager: Program,
    /// Grafana, with the folder it must be told as its home.
    pub(crate) grafana: Option<(Program, PathBuf)>,
    /// Loki.
    pub(crate) loki: Option<Program>,
    /// Tempo.
    pub(crate) tempo: Option<Program>,
    /// Mosquitto, for a lab.
    pub(crate) mosquitto: Option<Program>,
    /// nginx, the gate between Grafana and its data sources.
    pub(crate) nginx: Option<PathBuf>,
}

/// All that a plan is made from.
#[derive(Debug)]
pub(crate) struct Setting<'a> {
    /// The folder that holds everything the stack writes.
    pub(crate) state: &'a Path,
    /// The inventory file.
    pub(crate) inventory: &'a Path,
    /// Configuration of the SNMP exporter; without one it runs with its own.
    pub(crate) snmp: Option<&'a Path>,
    /// How the routers of a lab are logged in to.
    pub(crate) ssh: Option<&'a template::Ssh>,
    /// The sensors of a lab, which publish to a broker of its own; none on a network of its user's own.
    pub(crate) sensors: &'a [String],
    /// Where devices send their syslog.
    pub(crate) syslog: SocketAddr,
    /// Alerts and dashboards.
    pub(crate) home: &'a Home,
    /// Programs.
    pub(crate) found: &'a Found,
    /// Where the processes listen.
    pub(crate) inside: &'a Ports,
    /// Where the user's browser finds them.
    pub(crate) outside: &'a Ports,
    /// Whether the two differ by a network namespace.
    pub(crate) forwarded: bool,
    /// Certificates of the parts, where they speak TLS to each other.
    pub(crate) certificates: Option<&'a Certificates>,
    /// Scrape and evaluation interval.
    pub(crate) interval: Duration,
    /// Whether Alertmanager is to pass on at once.
    pub(crate) impatient: bool,
    /// How long Prometheus keeps what it has, as Prometheus reads it.
    pub(crate) retention: &'a str,
    /// What reaches the terminal.
    pub(crate) show: Show,
    /// Whether doubles stand in for Loki, Tempo and Grafana where they were not found.
    pub(crate) doubles: bool,
}

/// Looks for every program and for our own binaries.
///
/// # Errors
/// Something is missing without which there is no stack; the error says how to get it.
pub(crate) async fn find(common: &Common) -> anyhow::Result<Found> {
    let services = services::binaries(common.bin_dir.as_deref())?;
    let finder = common.programs.finder();
    let needed = async |kind: &Kind| {
        finder.find(kind).await.with_context(|| {
            let package = kind.package.unwrap_or(kind.name);
            format!("no {} on PATH: install the Debian package {package}, or run `sotp-lab stack install`", kind.name)
        })
    };
    let grafana = finder.find(&GRAFANA).await;
    let with_home = |program: Program| grafana::home(&program.path).map(|home| (program, home));
    Ok(Found {
        services,
        prometheus: needed(&PROMETHEUS).await?,
        alertmanager: needed(&ALERTMANAGER).await?,
        grafana: grafana.and_then(with_home),
        loki: finder.find(&LOKI).await,
        tempo: finder.find(&TEMPO).await,
        mosquitto: finder.find(&MOSQUITTO).await,
        nginx: on_path("nginx"),
    })
}

/// What is started; the inner half of the launcher reads it from a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// The processes.
    pub(crate) processes: Vec<Process>,
    /// Ports that are passed on through unix sockets.
    pub(crate) forwards: Vec<Inner>,
    /// Folder of the log files.
    pub(crate) logs: PathBuf,
    /// File of the states.
    pub(crate) status: PathBuf,
    /// The folder of the certificates, which are renewed while the stack runs.
    pub(crate) certificates: Option<PathBuf>,
    /// What reaches the terminal.
    pub(crate) show: Show,
}

impl Plan {
    /// The names of the processes as parts that have certificates.
    pub(crate) fn parts(&self) -> Vec<String> {
        let names = self.processes.iter().map(|process| process.name.as_str());
        names
            .map(|name| name.trim_start_matches("sotp-").to_owned())
            .collect()
    }

    /// The socket of the forwarded port `name`.
    pub(crate) fn socket(state: &Path, name: &str) -> PathBuf {
        state.join(format!("{name}.sock"))
    }
}

/// Writes the configuration files into the state folder and says what to start.
///
/// # Errors
/// A file cannot be written, or the user's Alertmanager configuration is not one.
pub(crate) fn write(setting: &Setting) -> anyhow::Result<Plan> {
    let mut processes = Vec::new();
    processes.push(alertmanager_process(setting)?);
    processes.extend(
        setting
            .found
            .services
            .iter()
            .map(|(service, path)| ours(setting, service, path))
            .collect::<anyhow::Result<Vec<_>>>()?,
    );
    processes.extend(sensor_processes(setting)?);
    processes.push(prometheus_process(setting)?);
    if let Some(program) = &setting.found.loki {
        processes.push(loki_process(setting, program)?);
        processes.push(ship_process(setting)?);
    } else if setting.doubles {
        processes.push(doubles::loki_process(setting)?);
    }
    if let Some(program) = &setting.found.tempo {
        processes.push(tempo_process(setting, program)?);
    } else if setting.doubles {
        processes.push(doubles::tempo_process(setting)?);
    }
    processes.extend(gate_process(setting)?);
    if let Some((program, home)) = &setting.found.grafana {
        processes.push(grafana_process(setting, program, home)?);
    } else if setting.doubles {
        processes.push(doubles::grafana_process(setting)?);
    }
    let forward = |name: &str| Inner {
        socket: Plan::socket(setting.state, name),
        port: setting.inside[setting.door(name)],
        certificates: setting
            .certificates
            .filter(|_| speaks_tls(name))
            .map(|it| it.folder().to_path_buf()),
    };
    let names = processes.iter().map(|process| process.name.as_str());
    let traces = setting.urls().contains_key(SPANS).then_some(SPANS);
    let listens = |name: &&str| setting.inside.contains_key(*name);
    let plan = Plan {
        forwards: names.chain(traces).filter(listens).map(forward).collect(),
        certificates: setting.certificates.map(|it| it.folder().to_path_buf()),
        processes,
        logs: setting.state.join("log"),
        status: setting.state.join("status.json"),
        show: setting.show,
    };
    if let Some(certificates) = setting.certificates {
        Certificates::renew(certificates.folder(), plan.parts())?;
    }
    Ok(plan)
}

/// A listener on the user's loopback for everything that a browser or a tool may want.
///
/// # Errors
/// No port near a usual one is free.
pub(crate) fn doors() -> anyhow::Result<(Vec<(String, TcpListener)>, Ports)> {
    let (mut doors, mut outside) = (Vec::new(), Ports::new());
    for (name, wanted) in usual_ports() {
        let door = ports::bind(wanted, &[]);
        let (listener, port) =
            door.with_context(|| format!("no free port for {name} near {wanted}"))?;
        outside.insert(name.clone(), port);
        doors.push((name, listener));
    }
    Ok((doors, outside))
}

/// What joins the doors to the sockets of the plan; doors of what does not run are closed.
///
/// # Errors
/// A listener is not usable.
pub(crate) fn outer(
    state: &Path,
    plan: &Plan,
    doors: Vec<(String, TcpListener)>,
) -> anyhow::Result<Vec<impl Future<Output = ()> + use<>>> {
    let mut halves = Vec::new();
    for (name, listener) in doors {
        let socket = Plan::socket(state, &name);
        if plan.forwards.iter().any(|inner| inner.socket == socket) {
            halves.push(forward::outer(listener, &socket)?);
        }
    }
    Ok(halves)
}

impl Setting<'_> {
    pub(super) fn inner(&self, name: &str) -> String {
        format!("127.0.0.1:{}", self.inside[name])
    }

    pub(crate) fn inner_url(&self, name: &str) -> String {
        format!("{}://{}", self.scheme(name), self.inner(name))
    }

    fn scheme(&self, name: &str) -> &'static str {
        if self.certificates.is_some() && speaks_tls(name) {
            "https"
        } else {
            "http"
        }
    }

    /// The keys of a section with which the part `name` calls others, as they follow a URL within braces.
    pub(crate) fn keys(&self, name: &str) -> String {
        self.certificates
            .map(|it| it.keys(name))
            .unwrap_or_default()
    }

    /// The same for a service that may not run: then where it would, so that the app says that it is not there.
    pub(super) fn inner_or(&self, name: &str, usual: u16) -> String {
        let port = self.inside.get(name).copied().unwrap_or(usual);
        format!("{}://127.0.0.1:{port}", self.scheme(name))
    }

    /// The URL of `name` in the user's browser.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}", self.outside[name])
    }

    /// The address of each process that runs.
    fn urls(&self) -> BTreeMap<String, String> {
        let found = self.found;
        let there = |name: &str| match name {
            "grafana" => found.grafana.is_some() || self.doubles,
            "loki" => found.loki.is_some() || self.doubles,
            "loki-grpc" => found.loki.is_some(),
            "mosquitto" => found.mosquitto.is_some() && !self.sensors.is_empty(),
            "tempo" | "otlp-http" => found.tempo.is_some() || self.doubles,
            "tempo-grpc" | "otlp-grpc" => found.tempo.is_some(),
            "gate-loki" | "gate-tempo" | "gate-prometheus" | "gate-grafana" => {
                self.gate().is_some()
            }
            _ => true,
        };
        let names = self.inside.keys().filter(|name| there(name));
        names
            .map(|name| (name.clone(), self.inner_url(name)))
            .collect()
    }

    pub(super) fn file(&self, name: &str, text: &str) -> anyhow::Result<String> {
        let path = self.state.join(name);
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        Ok(path.display().to_string())
    }

    /// nginx and what it lets pass, where Grafana needs it and both are there.
    fn gate(&self) -> Option<(&Path, PathBuf)> {
        let nginx = self.found.nginx.as_deref()?;
        self.found.grafana.as_ref()?;
        Some((nginx, self.home.gate()?))
    }

    /// Where Grafana asks a data source: at the gate, where there is one.
    fn source_url(&self, name: &str) -> String {
        let gate = self.gate().map(|_| format!("gate-{name}"));
        self.inner_url(gate.as_deref().unwrap_or(name))
    }

    /// The part that the door of `name` leads to: people reach Grafana through the gate, where there is one.
    fn door<'a>(&self, name: &'a str) -> &'a str {
        if name == "grafana" && self.gate().is_some() {
            "gate-grafana"
        } else {
            name
        }
    }

    fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.state.join(name);
        std::fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(path)
    }
}

/// Whether a port is one of HTTP among the parts: not that of gRPC within an engine, nor that of MQTT.
fn speaks_tls(name: &str) -> bool {
    !name.ends_with("-grpc") && name != "mosquitto"
}

/// `--web.config.file` of a part, where there is TLS.
fn web_config(setting: &Setting, name: &str, callers: Callers) -> anyhow::Result<Option<String>> {
    let Some(certificates) = setting.certificates else {
        return Ok(None);
    };
    let text = certificates.web_config(name, callers);
    let file = setting.file(&format!("web-{name}.yaml"), &text)?;
    Ok(Some(format!("--web.config.file={file}")))
}

/// The flags of Loki for TLS at its HTTP port.
fn loki_tls(setting: &Setting) -> Vec<String> {
    let Some(files) = setting.certificates.map(|it| it.part("loki")) else {
        return Vec::new();
    };
    let flag = |name: &str, path: &Path| format!("-server.http-tls-{name}={}", path.display());
    vec![
        flag("cert-path", &files.certificate),
        flag("key-path", &files.key),
        flag("ca-path", &files.authority),
        "-server.http-tls-client-auth=RequireAndVerifyClientCert".to_owned(),
    ]
}

fn argv(program: &Path, arguments: impl IntoIterator<Item = String>) -> Vec<String> {
    std::iter::once(program.display().to_string())
        .chain(arguments)
        .collect()
}

/// A folder of secrets that services share, made once: `events`, which signs what sotp-syslog tells the others, and `alerts`, the token by
/// which the remediator knows Alertmanager.
fn secrets(setting: &Setting) -> anyhow::Result<PathBuf> {
    let folder = setting.folder("secrets")?;
    for name in ["events", "alerts"] {
        let path = folder.join(name);
        if !path.exists() {
            let secret = crate::credentials::word().context("a random secret")?;
            crate::files::file(&path, &secret, 0o600)
                .with_context(|| path.display().to_string())?;
        }
    }
    Ok(folder)
}

fn ours(setting: &Setting, service: &Service, path: &Path) -> anyhow::Result<Process> {
    let secrets = secrets(setting)?;
    let urls = setting.urls();
    let names = template::Names {
        lab: setting.forwarded,
        data: setting.folder(service.name.trim_start_matches("sotp-"))?,
        inventory: setting.inventory,
        collector: setting.syslog.ip().to_string(),
        syslog: setting.syslog,
        snmp_config: setting.snmp,
        ssh: setting.ssh,
        secrets: &secrets,
        grafana: urls
            .contains_key("grafana")
            .then(|| format!("{}/", setting.url("grafana"))),
        urls: &urls,
        tls: setting.keys(&service.name),
        ca: setting.certificates.map_or_else(String::new, |it| {
            let authority = it.part(&service.name).authority;
            format!(", ca_file: {}", quoted(authority.to_string_lossy()))
        }),
    };
    let mut arguments = vec![format!(
        "--web.listen-address={}",
        setting.inner(&service.name)
    )];
    arguments.extend(match service.devices {
        Devices::File => Some(format!(
            "--inventory.source={}",
            setting.inventory.display()
        )),
        Devices::Inventory => Some(format!(
            "--inventory.source={}",
            setting.inner_url(INVENTORY)
        )),
        Devices::Prometheus | Devices::None => None,
    });
    arguments.extend(web_config(setting, &service.name, service.callers)?);
    for argument in &service.arguments {
        let argument = template::filled(argument, &names)?;
        arguments.extend((!argument.is_empty()).then_some(argument));
    }
    if let Some(config) = &service.config {
        let text = template::filled(&config.text, &names)?;
        if !text.trim().is_empty() {
            let text = format!("# Written anew at each start by `sotp-lab`.\n{text}");
            let file = setting.file(&config.file, &text)?;
            arguments.push(format!("--config.file={file}"));
        }
    }
    let mut process = Process::new(&service.name, argv(path, arguments))
        .ready_at(format!("{}/-/ready", setting.inner_url(&service.name)))
        .needed();
    if service.devices == Devices::Inventory {
        process = process.after(INVENTORY);
    }
    for name in service.after.iter().filter(|name| urls.contains_key(*name)) {
        process = process.after(name);
    }
    let mut variables = Vec::new();
    if urls.contains_key(SPANS) {
        process = process.env("OTEL_EXPORTER_OTLP_ENDPOINT", setting.inner_url(SPANS));
        variables.push([
            "OTEL_EXPORTER_OTLP_CERTIFICATE",
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
            "OTEL_EXPORTER_OTLP_CLIENT_KEY",
        ]);
    }
    if service.devices == Devices::Inventory {
        variables.push([
            "SOTP_INVENTORY_CA_FILE",
            "SOTP_INVENTORY_CERT_FILE",
            "SOTP_INVENTORY_KEY_FILE",
        ]);
    }
    if let Some(files) = setting.certificates.map(|it| it.part(&service.name)) {
        for [authority, certificate, key] in variables {
            for (name, file) in [
                (authority, &files.authority),
                (certificate, &files.certificate),
                (key, &files.key),
            ] {
                process = process.env(name, file.display().to_string());
            }
        }
    }
    Ok(process)
}

fn alertmanager_process(setting: &Setting) -> anyhow::Result<Process> {
    let routes = setting.home.alertmanager();
    let config = match (&routes, setting.impatient) {
        (Some(routes), false) => routes.display().to_string(),
        _ => {
            let token = secrets(setting)?.join("alerts");
            let urls = setting.urls();
            let webhook = urls
                .get("sotp-remediator")
                .map(|url| format!("{url}/api/v1/webhook/alertmanager"));
            let remediator = webhook.as_deref().map(|webhook| alertmanager::Remediator {
                webhook,
                token: &token,
                tls: setting.certificates.map(|it| it.section("alertmanager")),
            });
            let text = alertmanager::impatient(routes.as_deref(), remediator)?;
            setting.file("alertmanager.yml", &text)?
        }
    };
    let mut arguments = vec![
        format!("--config.file={config}"),
        format!(
            "--storage.path={}",
            setting.folder("alertmanager")?.display()
        ),
        format!("--web.listen-address={}", setting.inner("alertmanager")),
        format!("--web.external-url={}", setting.url("alertmanager")),
        // One instance has nobody to gossip with.
        "--cluster.listen-address=".to_owned(),
    ];
    arguments.extend(web_config(setting, "alertmanager", Callers::Parts)?);
    Ok(Process::new(
        "alertmanager",
        argv(&setting.found.alertmanager.path, arguments),
    )
    .ready_at(format!("{}/-/ready", setting.inner_url("alertmanager")))
    .needed())
}

fn prometheus_process(setting: &Setting) -> anyhow::Result<Process> {
    let rules = setting.home.rules()?;
    let settings = Settings {
        comment: "# Written anew at each start by `sotp-lab`.",
        interval: setting.interval,
        rules: rules
            .iter()
            .map(|path| path.display().to_string())
            .collect(),
        prometheus: setting.inner("prometheus"),
        alertmanager: setting.inner("alertmanager"),
        blackbox: "127.0.0.1:9115".to_owned(),
        others: Vec::new(),
    };
    let services = setting.found.services.iter().map(|(service, _)| *service);
    // What is called by TLS is written over below.
    let inventory = format!("http://{}", setting.inner(INVENTORY));
    let text = settings.text(services.clone(), &inventory, |service| {
        Some(Target::At(setting.inner(&service.name)))
    });
    let text = match setting.certificates {
        Some(certificates) => {
            let files = certificates.part("prometheus");
            with_tls(&text, &files.authority, &files.certificate, &files.key)
        }
        None => text,
    };
    let mut arguments = vec![
        format!("--config.file={}", setting.file("prometheus.yml", &text)?),
        format!(
            "--storage.tsdb.path={}",
            setting.folder("prometheus")?.display()
        ),
        format!("--storage.tsdb.retention.time={}", setting.retention),
        format!("--web.listen-address={}", setting.inner("prometheus")),
        format!("--web.external-url={}", setting.url("prometheus")),
        // A point of a chart that leads to its trace.
        "--enable-feature=exemplar-storage".to_owned(),
    ];
    arguments.extend(web_config(setting, "prometheus", Callers::Parts)?);
    let mut process = Process::new(
        "prometheus",
        argv(&setting.found.prometheus.path, arguments),
    )
    .ready_at(format!("{}/-/ready", setting.inner_url("prometheus")))
    .after("alertmanager")
    .needed();
    // What asks Prometheus waits for it, and not the other way round.
    let waits = |service: &Service| service.after.iter().any(|name| name == "prometheus");
    for service in services.filter(|service| !waits(service)) {
        process = process.after(&service.name);
    }
    Ok(process)
}

/// A broker, and the sensors that publish to it. On a network of its user's own there are others.
fn sensor_processes(setting: &Setting) -> anyhow::Result<Vec<Process>> {
    let (Some(program), false) = (&setting.found.mosquitto, setting.sensors.is_empty()) else {
        return Ok(Vec::new());
    };
    let text = format!(
        "# Written anew at each start by `sotp-lab`. Whoever is on loopback may publish.\n\
         listener {} 127.0.0.1\nallow_anonymous true\npersistence false\n",
        setting.inside["mosquitto"]
    );
    let config = setting.file("mosquitto.conf", &text)?;
    let broker = Process::new("mosquitto", argv(&program.path, ["-c".to_owned(), config]));
    let me = std::env::current_exe().context("the launcher's own program")?;
    let mut arguments = vec!["sensors".to_owned(), setting.inner("mosquitto")];
    arguments.extend(setting.sensors.iter().cloned());
    let sensors = Process::new("sensors", argv(&me, arguments)).after("mosquitto");
    Ok(vec![broker, sensors])
}

fn loki_process(setting: &Setting, program: &Program) -> anyhow::Result<Process> {
    let text = loki::text(
        &setting.folder("loki")?,
        setting.inside["loki"],
        setting.inside["loki-grpc"],
        &setting.inner_url("alertmanager"),
        setting.certificates.map(|it| it.part("loki")).as_ref(),
    );
    let mut arguments = vec![format!(
        "-config.file={}",
        setting.file("loki.yaml", &text)?
    )];
    arguments.extend(loki_tls(setting));
    Ok(Process::new("loki", argv(&program.path, arguments))
        .ready_at(format!("{}/ready", setting.inner_url("loki"))))
}

/// What every process says goes to Loki too, so that a trace has its lines and an audit record its anchor there.
fn ship_process(setting: &Setting) -> anyhow::Result<Process> {
    let program = std::env::current_exe()?.display().to_string();
    let push = format!("{}/loki/api/v1/push", setting.inner_url("loki"));
    let logs = setting.folder("log")?.display().to_string();
    let mut argv = vec![program, "stack".to_owned(), "ship".to_owned(), push, logs];
    argv.extend(certificates_flag(setting));
    Ok(Process::new("ship", argv))
}

/// The flag of our own helpers for the folder of certificates, where there is one.
pub(super) fn certificates_flag(setting: &Setting) -> Option<String> {
    let folder = setting.certificates?.folder().display();
    Some(format!("--certificates={folder}"))
}

fn tempo_process(setting: &Setting, program: &Program) -> anyhow::Result<Process> {
    let ports = tempo::Ports {
        http: setting.inside["tempo"],
        grpc: setting.inside["tempo-grpc"],
        otlp_grpc: setting.inside["otlp-grpc"],
        otlp_http: setting.inside["otlp-http"],
    };
    let files = setting.certificates.map(|it| it.part("tempo"));
    let text = tempo::text(&setting.folder("tempo")?, ports, files.as_ref());
    let arguments = [format!(
        "-config.file={}",
        setting.file("tempo.yaml", &text)?
    )];
    Ok(Process::new("tempo", argv(&program.path, arguments))
        .ready_at(format!("{}/ready", setting.inner_url("tempo"))))
}

/// Grafana hands on to its data sources whatever a visitor sends, so that a gate stands between, where only reading passes.
fn gate_process(setting: &Setting) -> anyhow::Result<Option<Process>> {
    let Some((nginx, shipped)) = setting.gate() else {
        return Ok(None);
    };
    let sources = ["loki", "tempo", "prometheus"].map(|name| gate::Source {
        name,
        gate: setting.inside[&format!("gate-{name}")],
        behind: setting.inside[name],
    });
    let files = setting.certificates.map(|it| it.part("gate"));
    let front = gate::Front {
        gate: setting.inside["gate-grafana"],
        grafana: setting.inside["grafana"],
        // What the services' own table says, where it does not run.
        rum: setting.inside.get(RUM).copied().unwrap_or(19887),
    };
    let data = setting.folder("gate")?;
    let text = gate::text(&data, &shipped, &sources, front, files.as_ref());
    let file = setting.file("gate.conf", &text)?;
    let arguments = ["-e", "stderr", "-c", &file].map(str::to_owned);
    let ready = format!(
        "{}/api/v1/status/buildinfo",
        setting.inner_url("gate-prometheus")
    );
    Ok(Some(
        Process::new("gate", argv(nginx, arguments))
            .ready_at(ready)
            .after("prometheus"),
    ))
}

/// What Grafana is told so that its pages report to sotp-rum: web vitals and faults, not each request and not the console.
fn browsers(setting: &Setting) -> Vec<(&'static str, String)> {
    if !setting.outside.contains_key(RUM) {
        return Vec::new();
    }
    // On Grafana's own origin, where people reach it through the gate.
    let endpoint = match setting.gate() {
        Some(_) => "/rum/collect".to_owned(),
        None => format!("{}/collect", setting.url(RUM)),
    };
    let off = |name| (name, "false".to_owned());
    vec![
        ("GF_LOG_FRONTEND_ENABLED", "true".to_owned()),
        ("GF_LOG_FRONTEND_CUSTOM_ENDPOINT", endpoint),
        off("GF_LOG_FRONTEND_INSTRUMENTATIONS_CONSOLE_ENABLED"),
        off("GF_LOG_FRONTEND_INSTRUMENTATIONS_PERFORMANCE_ENABLED"),
        off("GF_LOG_FRONTEND_INSTRUMENTATIONS_CSP_ENABLED"),
        off("GF_LOG_FRONTEND_INSTRUMENTATIONS_TRACING_ENABLED"),
    ]
}

fn grafana_process(setting: &Setting, program: &Program, home: &Path) -> anyhow::Result<Process> {
    let data = setting.folder("grafana")?;
    let files = setting.certificates.map(|it| it.part("grafana"));
    let provisioned = provision::provision(setting.home, &data, files.as_ref())?;
    let config = provisioned.config.display().to_string();
    let settings = grafana::Settings {
        data,
        provisioned,
        port: setting.inside["grafana"],
        url: format!("{}/", setting.url("grafana")),
        home: setting.home.first_dashboard(),
        password: super::state::password(setting.state, "grafana.password")?,
        anonymous: setting.gate().is_some(),
        sources: vec![
            ("SOTP_PROMETHEUS_URL", setting.source_url("prometheus")),
            ("SOTP_ALERTMANAGER_URL", setting.inner_url("alertmanager")),
            ("SOTP_LOKI_URL", setting.source_url("loki")),
            ("SOTP_TEMPO_URL", setting.source_url("tempo")),
            ("SOTP_INVENTORY_URL", setting.inner_url(INVENTORY)),
            (
                "SOTP_REMEDIATOR_URL",
                setting.inner_or("sotp-remediator", 19095),
            ),
            (
                "SOTP_CONFIGURATION_URL",
                setting.inner_or("sotp-ssh-config", 19222),
            ),
            (
                "SOTP_REPORTER_URL",
                setting.inner_or("sotp-reporter", 19880),
            ),
            ("SOTP_APP_BASIC_AUTH", doubles::NO_PASSWORD.to_owned()),
            (
                "SOTP_SCRAPE_INTERVAL",
                format!("{}s", setting.interval.as_secs().max(REFRESH)),
            ),
        ],
    };
    let mut settings = settings;
    settings.sources.extend(browsers(setting));
    if setting.interval < Duration::from_secs(REFRESH) {
        // Network now asks that often where Grafana lets it, which is each 5 s at most by default.
        settings.sources.push((
            "GF_DASHBOARDS_MIN_REFRESH_INTERVAL",
            format!("{}s", setting.interval.as_secs().max(1)),
        ));
    }
    if setting.urls().contains_key("otlp-grpc") {
        settings.sources.extend([
            (
                "GF_TRACING_OPENTELEMETRY_OTLP_ADDRESS",
                // The name that the certificate has too.
                format!("localhost:{}", setting.inside["otlp-grpc"]),
            ),
            (
                "GF_TRACING_OPENTELEMETRY_OTLP_INSECURE",
                files.is_none().to_string(),
            ),
        ]);
    }
    if let Some(files) = &files {
        let path = |path: &Path| path.display().to_string();
        // Go reads the authorities of this folder beside those of the system.
        let trusted = files.authority.parent().map(path).unwrap_or_default();
        settings.sources.extend([
            ("GF_SERVER_PROTOCOL", "https".to_owned()),
            ("GF_SERVER_CERT_FILE", path(&files.certificate)),
            ("GF_SERVER_CERT_KEY", path(&files.key)),
            ("SSL_CERT_DIR", trusted),
        ]);
    }
    let arguments = [
        "server".to_owned(),
        "--homepath".to_owned(),
        home.display().to_string(),
        "--config".to_owned(),
        config,
    ];
    let mut process = Process::new("grafana", argv(&program.path, arguments))
        .ready_at(format!("{}/api/health", setting.inner_url("grafana")))
        .after("prometheus");
    if setting.gate().is_some() {
        process = process.after("gate");
    }
    process.env = settings.env();
    Ok(process)
}
