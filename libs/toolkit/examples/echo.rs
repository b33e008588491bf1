//! The smallest real service: it answers what it is asked. The process tests of the toolkit run it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use serde::Deserialize;
use toolkit::web::response;
use toolkit::{
    App, Collect, ConfigError, Configuration, Encoder, Identity, Kind, Labels, Live, OnEnd, Secret,
    SecretFile, Service, yaml,
};

fn main() -> ExitCode {
    toolkit::main::<Echo>()
}

struct Echo;

#[derive(Debug, Clone, clap::Args)]
struct Flags {
    /// Seconds for which every thread of the main pool is blocked once /block is asked for.
    #[arg(
        long = "echo.block",
        env = "SOTP_ECHO_BLOCK",
        default_value_t = 5,
        help_heading = "Echo"
    )]
    block: u64,
    /// Milliseconds that the task needs to end when the service drains.
    #[arg(
        long = "echo.flush",
        env = "SOTP_ECHO_FLUSH",
        default_value_t = 0,
        help_heading = "Echo"
    )]
    flush: u64,
    /// Keeps the service from becoming ready.
    #[arg(
        long = "echo.never-ready",
        env = "SOTP_ECHO_NEVER_READY",
        help_heading = "Echo"
    )]
    never_ready: bool,
    /// Lets the task fail after so many milliseconds.
    #[arg(
        long = "echo.task-fails",
        env = "SOTP_ECHO_TASK_FAILS",
        help_heading = "Echo"
    )]
    task_fails: Option<u64>,
    /// Ends the task that must not end after so many milliseconds.
    #[arg(
        long = "echo.wait-ends",
        env = "SOTP_ECHO_WAIT_ENDS",
        help_heading = "Echo"
    )]
    wait_ends: Option<u64>,
}

/// The checked configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    greeting: String,
    repeat: u8,
    password: Secret,
    extra_files: Vec<PathBuf>,
    password_file: Option<PathBuf>,
    #[serde(skip)]
    from_file: Option<SecretFile>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            greeting: "hello".to_owned(),
            repeat: 1,
            password: Secret::default(),
            extra_files: Vec::new(),
            password_file: None,
            from_file: None,
        }
    }
}

impl Configuration for Config {
    const DEFAULT: &'static str = "# What is answered.\ngreeting: hello\n# How often, 1 to 9.\nrepeat: 1\n# Shown to nobody.\npassword: \"\"\n# Further files that belong to the configuration.\nextra_files: []\n";

    fn masked(&self) -> String {
        format!(
            "greeting: {:?}\nrepeat: {}\npassword: {}\n",
            self.greeting, self.repeat, self.password
        )
    }

    fn files(&self) -> Vec<PathBuf> {
        self.extra_files.clone()
    }
}

/// A source of one family.
struct Answers {
    config: Live<Config>,
    stuck: Arc<AtomicBool>,
}

impl Collect for Answers {
    fn collect(&self, out: &mut Encoder) {
        while self.stuck.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let config = self.config.current();
        out.family(
            "echo_repeat",
            Kind::Gauge,
            "How often the greeting is repeated.",
        );
        let labels = Labels::new([("greeting", &config.greeting)]);
        out.sample(&labels, config.repeat);
        if let Some(file) = &config.from_file {
            let help = "Bytes of the password in its file.";
            out.family("echo_password_bytes", Kind::Gauge, help);
            out.sample(Labels::none(), file.current().reveal().len() as f64);
        }
    }
}

impl Service for Echo {
    const IDENTITY: Identity = Identity {
        name: "echo",
        title: "Echo",
        about: "Answers what it is asked, to test what every service shares",
        port: 19999,
        version: env!("CARGO_PKG_VERSION"),
        docs: "docs/toolkit.md",
    };
    type Flags = Flags;
    type Config = Config;

    fn configure(_: &Flags, text: &str, origin: &Path) -> Result<Config, ConfigError> {
        let mut config: Config = yaml::parse(text, origin)?;
        if let Some(file) = &config.password_file {
            let opened = SecretFile::open(origin.with_file_name("").join(file));
            config.from_file = Some(opened.map_err(|error| {
                ConfigError::at(text, origin, "password_file", error.to_string())
            })?);
        }
        if !(1..=9).contains(&config.repeat) {
            let message = format!("expected a number from 1 to 9, found {}", config.repeat);
            return Err(ConfigError::at(text, origin, "repeat", message));
        }
        Ok(config)
    }

    async fn build(flags: Flags, config: Live<Config>, app: &mut App) -> anyhow::Result<()> {
        let stuck = Arc::new(AtomicBool::new(false));
        app.collect(Answers {
            config: config.clone(),
            stuck: Arc::clone(&stuck),
        });
        app.route(Method::POST, "/stick", move |_| {
            stuck.store(true, Ordering::Relaxed);
            async { response::text(StatusCode::OK, "metrics are stuck") }
        });
        app.link("/echo?text=hello", "Echo", "answers its text");
        let live = config.clone();
        app.route(Method::GET, "/echo", move |request| {
            let config = live.current();
            async move {
                let text = request
                    .query("text")
                    .unwrap_or_else(|| config.greeting.clone());
                response::text(StatusCode::OK, text.repeat(usize::from(config.repeat)))
            }
        });
        app.route(Method::POST, "/echo/{name}", |request| async move {
            let name = request.param("name").unwrap_or_default();
            tracing::info!(name, "asked");
            response::text(
                StatusCode::OK,
                format!("{name}: {} bytes", request.body().len()),
            )
        });
        app.route(Method::GET, "/whoami", |request| async move {
            let certificate = request.client_certificate();
            let subject = certificate.map_or("none", |it| it.subject());
            let names = certificate.map_or(String::new(), |it| it.names().join(" "));
            let user = request.user().unwrap_or("none");
            let text = format!("user: {user}\nsubject: {subject}\nnames: {names}");
            response::text(StatusCode::OK, text)
        });
        let block = Duration::from_secs(flags.block);
        app.route(Method::GET, "/block", move |_| async move {
            for _ in 0..256 {
                tokio::spawn(async move { std::thread::sleep(block) });
            }
            response::text(StatusCode::OK, "blocked")
        });
        app.route(Method::GET, "/slow", |request| async move {
            tracing::info!("slow request");
            let millis = request.query("ms").and_then(|text| text.parse().ok());
            tokio::time::sleep(Duration::from_millis(millis.unwrap_or(2000))).await;
            response::text(StatusCode::OK, "slow")
        });
        let live = config.clone();
        app.route(Method::GET, "/wait", move |_| {
            let mut live = live.clone();
            async move {
                tracing::info!("waiting for a change");
                live.changed().await;
                response::text(StatusCode::OK, "changed")
            }
        });
        app.route(Method::GET, "/large", |_| async move {
            response::text(StatusCode::OK, "x".repeat(64 << 20))
        });
        app.route(Method::GET, "/panic", |_| async move {
            panic!("asked to");
        });
        app.route_on_connection(Method::GET, "/here", |request| async move {
            assert!(request.query("panic").is_none(), "asked to");
            let thread = std::thread::current();
            response::text(StatusCode::OK, thread.name().unwrap_or_default())
        });
        let gate = app.gate("the wish to be ready");
        let flush = Duration::from_millis(flags.flush);
        let ends = flags.wait_ends.map_or(Duration::MAX, Duration::from_millis);
        app.spawn("wait", OnEnd::Fail, move |stop| async move {
            let _ = tokio::time::timeout(ends, stop.requested()).await;
            tokio::time::sleep(flush).await;
            tracing::info!("flushed");
            Ok(())
        });
        app.spawn("restless", OnEnd::Restart, move |stop| async move {
            match flags.task_fails {
                Some(after) => {
                    tokio::time::sleep(Duration::from_millis(after)).await;
                    panic!("as the flag asked");
                }
                None => stop.requested().await,
            }
            Ok(())
        });
        if !flags.never_ready {
            gate.open();
        }
        Ok(())
    }
}
