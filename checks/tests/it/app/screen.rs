//! What a person sits before: a browser with the app in Grafana, and the services behind it.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sotp_checks::app::{self, App, Part};
use sotp_checks::root;
use testkit::chromium::{Browser, Key};
use testkit::grafana::{App as Plugin, Basic, Grafana, Setup, Source, SourceType, User};
use testkit::otlp::Collector;
use testkit::services::program;
use testkit::{Process, Server, Spawn, TempDir, client, eventually};

/// The plugin's id.
pub(crate) const ID: &str = "sotp-app";
pub(crate) const PASSWORD: &str = "of-grafana";
/// What signs events of sotp-syslog.
pub(crate) const EVENTS: &str = "key-of-events";
/// The logins of Alertmanager and of sotp-syslog.
pub(crate) const ALERTMANAGER: &str = "alertmanager";
pub(crate) const SYSLOG: &str = "syslog";

/// An inventory as somebody has it who begins.
const INVENTORY: &str = "\
sites:
  - name: brno
  - name: ostrava
groups:
  - name: routers
    defaults: {role: router, platform: frr}
devices:
  - name: r1
    address: 198.18.0.1
    site: brno
    groups: [routers]
  - name: r2
    address: 198.18.0.2
    site: ostrava
    groups: [routers]
    snmp: {module: if_mib, auth: lab_v3}
";

/// The app and the services, built once for all tests of this program; the reason when something cannot be had here.
pub(crate) fn built() -> Result<&'static App, &'static str> {
    static BUILT: OnceLock<Result<App, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        if let Some(reason) = app::missing() {
            return Err(reason);
        }
        Ok(app::build(&[Part::Plugin, Part::Tested, Part::Host]).unwrap())
    });
    built.as_ref().map_err(String::as_str)
}

/// As [`built`], where there is a browser too.
pub(crate) fn seen() -> Result<&'static App, &'static str> {
    static MISSING: OnceLock<Option<String>> = OnceLock::new();
    match MISSING.get_or_init(Browser::missing) {
        Some(reason) => Err(reason),
        None => built(),
    }
}

/// Grafana with the app, and the services that it reaches.
pub(crate) struct Stack {
    pub(crate) grafana: Grafana,
    pub(crate) inventory: Process,
    pub(crate) remediator: Process,
    pub(crate) archive: Process,
    pub(crate) reporter: Process,
    pub(crate) alertmanager: Server,
    pub(crate) traces: Collector,
    pub(crate) folder: TempDir,
}

impl Stack {
    /// Devices that nobody reaches.
    pub(crate) async fn start(app: &App, anonymous: bool) -> Self {
        Self::with(app, anonymous, INVENTORY, "", "", &[]).await
    }

    /// The sections `remediator` and `archive` stand in the configurations of those services beside who may do what.
    /// `files` are written before they begin.
    pub(crate) async fn with(
        app: &App,
        anonymous: bool,
        inventory: &str,
        remediator: &str,
        archive: &str,
        files: &[(&str, &str)],
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let write =
            |name: &str, text: &str| folder.write(name, text).unwrap().display().to_string();
        std::fs::create_dir(folder.join("network")).unwrap();
        let file = write("network/inventory.yaml", inventory);
        // The address of Grafana stands in the configurations of the services and the other way round, so their ports are found first.
        let ports: [u16; 4] = crate::ports::free();
        let settings = [
            "inventoryUrl",
            "remediatorUrl",
            "configurationUrl",
            "reporterUrl",
        ];
        let settings = settings.map(ToOwned::to_owned).into_iter().zip(ports);
        let settings = settings.map(|(key, port)| (key, format!("http://127.0.0.1:{port}")));
        let routes = root().join("alerts/alertmanager/alertmanager.yaml");
        let routes = std::fs::read_to_string(routes).unwrap();
        let alertmanager = Server::alertmanager(&routes).await.unwrap();
        let basic = STANDARD.encode(format!("grafana:{PASSWORD}"));
        let secrets = BTreeMap::from([("basicAuth".to_owned(), basic)]);
        let (id, plugin) = Plugin::read(&app.plugin(), settings.collect(), secrets).unwrap();
        assert_eq!(id, ID);
        let grafana = Grafana::start(Setup {
            users: Basic::ALL
                .map(|role| User::new(&role.as_str().to_lowercase(), role))
                .to_vec(),
            anonymous: anonymous.then_some(Basic::Viewer),
            apps: BTreeMap::from([(id, plugin)]),
            sources: BTreeMap::from([(
                "am".to_owned(),
                Source::new(SourceType::Alertmanager, &alertmanager.url),
            )]),
            host: Some(app.host()),
            language: "en-US".to_owned(),
            ..Setup::default()
        })
        .await
        .unwrap();
        let hash = bcrypt::hash(PASSWORD, 4).unwrap();
        // Who has a login gets as far as the service, which then decides by itself.
        let users = ["grafana", ALERTMANAGER, SYSLOG].map(|user| format!("  {user}: '{hash}'\n"));
        let web = write(
            "web.yaml",
            &format!("basic_auth_users:\n{}", users.concat()),
        );
        write("events.secret", EVENTS);
        for (name, text) in files {
            write(name, text);
        }
        let traces = Collector::start().await.unwrap();
        let start = async |name: &str, port: u16, own: &str| {
            let config = format!(
                "access:\n  grafana:\n    url: '{}'\n    carried_by: {{web_users: [grafana]}}\naudit: {{folder: audit-{name}}}\n{own}",
                grafana.url()
            );
            let config = write(&format!("{name}.yaml"), &config);
            // The reporter asks Prometheus who there is.
            let source = (name != "sotp-reporter").then(|| format!("--inventory.source={file}"));
            let started = Spawn::new(program(name))
                .listen(format!("127.0.0.1:{port}"))
                .args(source)
                .args([
                    format!("--config.file={config}"),
                    format!("--web.config.file={web}"),
                ]);
            let started = started
                .env("OTEL_EXPORTER_OTLP_ENDPOINT", traces.url())
                .env("OTEL_BSP_SCHEDULE_DELAY", "100");
            started.start().await.unwrap()
        };
        let events = "events: {secret_file: events.secret}\n";
        let remediator = format!("{events}webhook: {{web_users: [{ALERTMANAGER}]}}\n{remediator}");
        let archive = format!("{events}{archive}");
        let nobody = "prometheus: {url: 'http://127.0.0.1:9'}\ndata: reports\ntime_zone: UTC\n";
        let (inventory, remediator, archive, reporter) = tokio::join!(
            start("sotp-inventory", ports[0], ""),
            start("sotp-remediator", ports[1], &remediator),
            start("sotp-ssh-config", ports[2], &archive),
            start("sotp-reporter", ports[3], nobody),
        );
        Self {
            grafana,
            inventory,
            remediator,
            archive,
            reporter,
            alertmanager,
            traces,
            folder,
        }
    }

    /// What the service itself says of a device as it is written; `None` when there is none.
    pub(crate) async fn device(&self, name: &str) -> Option<Value> {
        let url = self
            .inventory
            .url(&format!("/api/v1/devices/{name}?form=written"));
        let request = client().get(url).basic_auth("grafana", Some(PASSWORD));
        let answer = request.send().await.unwrap();
        let fine = answer.status().is_success();
        let body = answer.text().await.unwrap();
        fine.then(|| serde_json::from_str(&body).unwrap())
    }

    /// A call past the app, as somebody else who is faster makes it.
    pub(crate) async fn patch(&self, login: &str, name: &str, body: &str) -> u16 {
        let url = self.inventory.url(&format!("/api/v1/devices/{name}"));
        let request = client()
            .patch(url)
            .basic_auth("grafana", Some(PASSWORD))
            .header("x-grafana-id", self.grafana.token(login))
            .header("content-type", "application/merge-patch+json")
            .header("if-match", "*")
            .body(body.to_owned());
        request.send().await.unwrap().status().as_u16()
    }

    /// What a service itself answers somebody who comes through Grafana.
    pub(crate) async fn ask(
        &self,
        service: &Process,
        login: &str,
        path: &str,
    ) -> anyhow::Result<Value> {
        let request = client()
            .get(service.url(path))
            .basic_auth("grafana", Some(PASSWORD))
            .header("x-grafana-id", self.grafana.token(login));
        Ok(request.send().await?.json().await?)
    }

    /// Every line of the audit log of a service.
    pub(crate) fn audit(&self, service: &str) -> Vec<Value> {
        let folder = self.folder.join(format!("audit-{service}"));
        let mut lines = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
            lines.extend(
                text.lines()
                    .filter_map(|line| serde_json::from_str(line).ok()),
            );
        }
        lines
    }

    /// A browser in which somebody is signed in; `None` for nobody.
    pub(crate) async fn browser(&self, login: Option<&str>) -> Screen {
        let browser = Browser::start(1280, 1000).await.unwrap();
        let base = self.grafana.url();
        browser.open(&format!("{base}api/health")).await.unwrap();
        if let Some(login) = login {
            browser.cookie(&self.grafana.session(login)).await.unwrap();
        }
        Screen { browser, base }
    }
}

/// A browser before Grafana.
pub(crate) struct Screen {
    pub(crate) browser: Browser,
    base: String,
}

impl Screen {
    /// Opens a page of the app.
    pub(crate) async fn open(&self, path: &str) {
        let url = format!("{}a/{ID}/{path}", self.base);
        self.browser.open(&url).await.unwrap();
    }

    /// Goes on by the tabulator, from where the focus is, to what has a name for screen readers that begins so.
    pub(crate) async fn reach(&self, name: &str) {
        let named = "const one = document.activeElement; \
            return one.ariaLabel ?? one.labels?.[0]?.textContent ?? one.textContent";
        let mut seen = Vec::new();
        for _ in 0..60 {
            self.browser.key(Key::Tab).await.unwrap();
            let at = self.browser.run(named, &[]).await.unwrap();
            let at = at.as_str().unwrap_or_default().trim().to_owned();
            if at.starts_with(name) {
                return;
            }
            seen.push(at);
        }
        panic!("the tabulator does not reach {name}: {seen:#?}");
    }

    /// Nothing is in the way of a keyboard or a screen reader, and nothing broke; pictures are kept in `target/app-pictures`.
    pub(crate) async fn is_sound(&self, app: &App, name: &str) {
        // What fades in is judged as it will be, and the colours under the mouse are Grafana's own.
        self.browser.away().await.unwrap();
        let still = eventually(Duration::from_secs(5), || async {
            // A change of style begins to move with the frame after it.
            let moving = "const frame = () => new Promise((next) => requestAnimationFrame(next)); \
                await frame(); await frame(); await frame(); \
                return document.getAnimations().filter((one) => one.playState !== 'finished').length";
            let moving = self.browser.promise(moving).await?;
            anyhow::ensure!(moving == 0, "{moving} animations");
            Ok(())
        });
        still.await.unwrap();
        let pictures = root().join("target/app-pictures");
        let picture = pictures.join(format!("{name}.png"));
        self.browser.picture(&picture).await.unwrap();
        let axe = app.package("axe-core/axe.min.js");
        let wrong = self.browser.axe(&axe).await.unwrap();
        assert!(wrong.is_empty(), "{name}: axe found {wrong:#?}");
        let broken = self.browser.all("//*[@id=\"crashed\"]").await.unwrap();
        assert!(broken.is_empty(), "{name}: the app crashed");
        // On a desk and on a phone nothing stands beside the screen.
        for (kind, width, height) in [("desk", 1600, 1000), ("phone", 390, 844)] {
            self.browser.sized(width, height).await.unwrap();
            let picture = pictures.join(kind).join(format!("{name}.png"));
            self.browser.picture(&picture).await.unwrap();
            let script = "return document.documentElement.scrollWidth";
            let needed = self.browser.run(script, &[]).await.unwrap();
            let needed = needed.as_f64().unwrap();
            assert!(
                needed <= f64::from(width),
                "{name}: {needed} pixels on a screen of {width}"
            );
        }
        self.browser.sized(1600, 1000).await.unwrap();
    }
}
