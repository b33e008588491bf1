//! What is done on the command line without the service: `convert`, `explain` and `replay`.

use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use inventory::{Feed, Source};
use loki::{DeadLetters, Observer, Render as _, State};
use spool::Record;
use toolkit::{Configuration as _, Live};

use crate::config::Config;
use crate::intake::now;
use crate::render::{Lines, SEVERITIES};
use crate::translate::{Translator, generic_fields};
use crate::{header, text};

/// Shows what a line of syslog is taken for, and sends dead letters again.
#[derive(Debug, Parser)]
#[command(name = "sotp-syslog", disable_version_flag = true)]
enum Command {
    /// Reads lines of syslog from standard input and says what each one is: device, time, event, sentence, fields.
    Explain {
        /// One JSON object per line instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Turns a Promtail or Alloy configuration into ours and says what could not be carried over.
    Convert {
        /// The configuration of Promtail (YAML) or Alloy.
        file: PathBuf,
    },
    /// Sends dead letters to their destination again; what is refused again is written beside the file.
    Replay {
        /// The configuration with the destination.
        #[arg(long = "config.file", env = "SOTP_CONFIG_FILE", value_name = "PATH")]
        config: PathBuf,
        /// Devices: a file, or the URL of sotp-inventory.
        #[arg(
            long = "inventory.source",
            env = "SOTP_INVENTORY_SOURCE",
            value_name = "PATH|URL",
            default_value = "inventory.yaml"
        )]
        inventory: String,
        /// The dead-letter file, best moved away first.
        file: PathBuf,
    },
}

/// The end of a run that needs no service.
#[must_use]
pub fn early() -> Option<ExitCode> {
    let arguments: Vec<String> = std::env::args().collect();
    let first = arguments.get(1).map_or("", String::as_str);
    if !matches!(first, "convert" | "explain" | "replay") {
        return crate::handover::early(&arguments);
    }
    let result = match Command::parse() {
        Command::Convert { file } => convert(&file),
        Command::Explain { json } => explain(json),
        Command::Replay {
            config,
            inventory,
            file,
        } => replay(&config, &inventory, &file),
    };
    Some(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    })
}

fn convert(file: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let converted =
        crate::convert::convert(&text).map_err(|e| anyhow::anyhow!("{}: {e}", file.display()))?;
    write!(std::io::stdout(), "{}", converted.yaml())?;
    for note in &converted.notes {
        writeln!(std::io::stderr(), "note: {note}")?;
    }
    Ok(())
}

fn explain(json: bool) -> anyhow::Result<()> {
    let translator = Translator::built_in()?;
    let mut input = std::io::stdin().lock();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let text = text::decode(&line);
        if text.is_empty() {
            continue;
        }
        let shown = explanation(&translator, &text);
        if json {
            serde_json::to_writer(
                &mut out,
                &serde_json::Map::from_iter(shown.into_iter().map(|(k, v)| (k, v.into()))),
            )?;
            writeln!(out)?;
        } else {
            writeln!(out, "{text}")?;
            for (name, value) in shown {
                writeln!(out, "  {name:<12} {value}")?;
            }
            writeln!(out)?;
        }
    }
    out.flush()?;
    Ok(())
}

/// What a line is, by name.
#[must_use]
pub fn explanation(translator: &Translator, text: &str) -> Vec<(String, String)> {
    let header = header::parse(text);
    let mut shown: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            shown.push((name.to_owned(), value));
        }
    };
    add("form", Some(header.form.name().to_owned()));
    add("device", header.host.map(str::to_owned));
    add("relay", header.relay.map(str::to_owned));
    add(
        "severity",
        Some(SEVERITIES[usize::from(header.severity())].to_owned()),
    );
    let at = header
        .time
        .and_then(|t| t.resolve(i64::try_from(now()).ok()?, 0));
    add(
        "time",
        at.and_then(|t| jiff::Timestamp::from_nanosecond(i128::from(t)).ok())
            .map(|t| t.to_string()),
    );
    add("process", header.process.map(str::to_owned));
    add("pid", header.pid.map(str::to_owned));
    add("mnemonic", header.mnemonic.map(str::to_owned));
    add("sequence", header.sequence.map(|s| s.to_string()));
    match translator.translate(&header) {
        Some(found) => {
            let mut sentence = String::new();
            found.sentence(&mut sentence);
            add("vendor", Some(found.rule.vendor.to_owned()));
            add("event", Some(found.rule.event.to_owned()));
            add("sentence", Some(sentence));
            for (name, value) in &found.fields {
                add(&format!("field.{name}"), Some((*value).to_owned()));
            }
        }
        None => {
            add("event", Some("unknown".to_owned()));
            for (name, value) in generic_fields(&header, 40) {
                add(&format!("field.{name}"), Some(value.to_owned()));
            }
        }
    }
    add("message", Some(header.message.to_owned()));
    shown
}

#[derive(Default)]
struct Tally(std::sync::atomic::AtomicU64, std::sync::atomic::AtomicU64);

impl Observer for Tally {
    fn stored(&self, records: &mut dyn Iterator<Item = &Record<'_>>) {
        let count = records.count() as u64;
        self.0
            .fetch_add(count, std::sync::atomic::Ordering::Relaxed);
    }
    fn parked(&self, _: &Record<'_>, _: &str) {
        self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
    fn answered(&self, _: &str, _: Duration, _: usize, _: usize) {}
    fn state(&self, state: State<'_>) {
        if let State::Holding(reason) | State::Retrying(reason) = state {
            let _ = writeln!(std::io::stderr(), "waiting: {reason}");
        }
    }
    fn streams(&self, _: usize, _: u64, _: u64) {}
}

fn replay(config: &Path, source: &str, file: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(config).with_context(|| config.display().to_string())?;
    let config = Config::parse(&text, config)?;
    let letters = loki::read_dead_letters(file)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let Ok(source) = source.parse::<Source>();
        let feed = Feed::open(source).await.context("--inventory.source")?;
        let translator = Arc::new(Translator::built_in()?);
        let mut beside = file.as_os_str().to_owned();
        beside.push(".refused");
        let dead = Arc::new(DeadLetters::open(Path::new(&beside), u64::MAX)?);
        let tally = Arc::new(Tally::default());
        for destination in &config.loki {
            let own: Vec<_> = letters
                .iter()
                .filter(|l| l.destination == destination.name)
                .cloned()
                .collect();
            let lines = Lines::new(
                translator.clone(),
                feed.clone(),
                None,
                Live::fixed(config.clone()),
            );
            loki::replay(
                destination.clone(),
                &own,
                lines,
                tally.clone(),
                dead.clone(),
            )
            .await
            .map_err(anyhow::Error::from_boxed)?;
        }
        let (stored, refused) = (
            tally.0.load(std::sync::atomic::Ordering::Relaxed),
            tally.1.load(std::sync::atomic::Ordering::Relaxed),
        );
        let other = letters.len() as u64 - stored - refused;
        writeln!(
            std::io::stdout(),
            "{stored} stored, {refused} refused again, {other} of no configured destination"
        )?;
        Ok(())
    })
}

/// One line through everything that reads the network: for fuzzing.
pub fn fuzz(bytes: &[u8]) {
    // Built once: a fuzzer calls this many thousand times a second.
    static SET_UP: OnceLock<Option<(Arc<Translator>, Live<Config>)>> = OnceLock::new();
    let set_up = SET_UP.get_or_init(|| {
        let config = Config::parse(Config::DEFAULT, Path::new("built-in default")).ok()?;
        Some((Arc::new(Translator::built_in().ok()?), Live::fixed(config)))
    });
    let Some((translator, config)) = set_up else {
        return;
    };
    let text = text::decode(bytes);
    let _ = explanation(translator, &text);
    let mut lines = Lines::new(
        translator.clone(),
        Feed::fixed(inventory::Inventory::default()),
        None,
        config.clone(),
    );
    let mut line = loki::Line::default();
    lines.render(
        Record {
            seq: 1,
            stamp: 1,
            class: 0,
            payload: bytes,
        },
        &mut line,
    );
    let mut framing = crate::framing::Framing::new(512);
    framing.buffer().extend_from_slice(bytes);
    while framing.next_frame().is_some() {}
    let _ = crate::proxy::parse(bytes);
}
