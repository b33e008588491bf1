//! `sotp-syslog replay`: dead letters go to their destination again.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use loki::{DeadLetters, Observer, State};
use spool::Record;
use toolkit::Live;

use crate::config::Config;
use crate::render::Lines;
use crate::translate::Translator;

#[derive(Default)]
struct Increments(std::sync::atomic::AtomicU64, std::sync::atomic::AtomicU64);

impl Observer for Increments {
    fn stored(&self, records: &mut dyn Iterator<Item = &Record<'_>>) {
        let count = records.count() as u64;
        self.0
            .fetch_add(count, std::sync::atomic::Ordering::Relaxed);
    }
    fn dead_lettered(&self, _: &Record<'_>, _: &str) {
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

/// Sends every letter of a configured destination and says what became of them.
pub(super) fn replay(config: &Path, devices: &devices::Flags, file: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(config).with_context(|| config.display().to_string())?;
    let config = Config::parse(&text, config)?;
    let letters = loki::read_dead_letters(file)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let feed = devices.open().await?;
        let translator = Arc::new(Translator::built_in()?);
        let mut beside = file.as_os_str().to_owned();
        beside.push(".refused");
        let dead = Arc::new(DeadLetters::open(Path::new(&beside), u64::MAX)?);
        let increments = Arc::new(Increments::default());
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
                increments.clone(),
                dead.clone(),
            )
            .await
            .map_err(anyhow::Error::from_boxed)?;
        }
        let (stored, refused) = (
            increments.0.load(std::sync::atomic::Ordering::Relaxed),
            increments.1.load(std::sync::atomic::Ordering::Relaxed),
        );
        let other = letters.len() as u64 - stored - refused;
        writeln!(
            std::io::stdout(),
            "{stored} stored, {refused} refused again, {other} of no configured destination"
        )?;
        Ok(())
    })
}
