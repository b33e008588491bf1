//! The work: devices that are due are logged in to, and what they answer is masked, compared and kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use inventory::{Device, Feed, Inventory};
use loki::Lines;
use ssh::{
    Collected, Driver, Facts, HostKeys, Incomplete, Masked, Masker, Output, Seen, Session, Target,
};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use toolkit::trace::Origin;
use toolkit::{Live, Stop};

use crate::archive::{Archive, Reason};
use crate::compliance::{Breaches, Compliance, breaches};
use crate::config::Config;
use crate::counters::Counters;
use crate::diff;
use crate::fleet::{Ending, Fleet, Timing};
use crate::hops::Hops;
use crate::journal::{self, News};
use crate::logins::Logins;
use crate::room::{Room, blocking};
use crate::sessions::{Found, Opened, Sessions};
use crate::state::State;
use crate::webhook::Change;
use toolkit::chain;

/// Time over which the first collections after a start are spread, for each device of which more than a few are due; in all no more than from one
/// collection of a device to the next.
const SPREAD: Duration = Duration::from_millis(20);
/// Time for collections under way when the service ends.
const ENDING: Duration = Duration::from_secs(5);
/// Time whose logins may be made at once.
const BURST: Duration = Duration::from_secs(1);
/// How often the state is written.
const SAVE: Duration = Duration::from_secs(1);

/// What a device said when it was last looked at.
#[derive(Clone, Copy, Default)]
struct Known {
    running: Option<Seen>,
    startup: Option<Seen>,
    /// A digest of its other answers.
    outputs: Option<[u8; 32]>,
}

/// All that the parts of the service share.
pub(crate) struct Shared {
    pub(crate) config: Live<Config>,
    pub(crate) feed: Feed,
    pub(crate) archive: Archive,
    pub(crate) state: State,
    pub(crate) logins: Logins,
    pub(crate) compliance: Compliance,
    pub(crate) lines: Option<Lines>,
    /// Changes that the webhook is told of.
    tell: mpsc::Sender<Change>,
    pub(crate) counters: Counters,
    pub(crate) masker: Masker,
    hops: Hops,
    pub(crate) sessions: Sessions,
    /// What each device said when it was last looked at: what has not changed since need not be masked and compared anew.
    seen: Mutex<HashMap<String, Known>>,
    keys: ArcSwap<HostKeys>,
    fleet: Mutex<Fleet>,
    wake: Notify,
    room: Room,
}

impl Shared {
    #[expect(clippy::too_many_arguments, reason = "each part stands for itself")]
    pub(crate) fn new(
        config: Live<Config>,
        feed: Feed,
        archive: Archive,
        state: State,
        compliance: Compliance,
        lines: Option<Lines>,
        tell: mpsc::Sender<Change>,
        counters: Counters,
        masker: Masker,
    ) -> Self {
        let keys = host_keys(&config.current());
        Self {
            config,
            feed,
            archive,
            state,
            logins: Logins::default(),
            compliance,
            lines,
            tell,
            counters,
            masker,
            hops: Hops::default(),
            sessions: Sessions::default(),
            seen: Mutex::default(),
            keys: ArcSwap::from_pointee(keys),
            fleet: Mutex::default(),
            wake: Notify::new(),
            room: Room::default(),
        }
    }

    /// A device shall be collected soon. Answers whether it is one that can be.
    pub(crate) fn trigger(&self, device: &str, reason: Reason) -> bool {
        let timing = timing(&self.config.current());
        let timing = match reason.trigger {
            // Who asks for it does not wait for silence.
            "api" => Timing {
                settle: Duration::ZERO,
                ..timing
            },
            _ => timing,
        };
        let taken = self.fleet().event(device, reason, Instant::now(), timing);
        self.wake.notify_one();
        taken
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, HashMap<String, Known>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fleet(&self) -> std::sync::MutexGuard<'_, Fleet> {
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over the devices of the inventory that can be collected.
    fn refresh(&self, config: &Config) {
        let inventory = self.feed.current();
        let devices = inventory.devices();
        let collectable: Vec<String> = devices
            .iter()
            .filter(|device| obstacle(config, device).is_none())
            .map(|device| device.name.to_string())
            .collect();
        let many = SPREAD.saturating_mul(u32::try_from(collectable.len()).unwrap_or(u32::MAX));
        let many = many.min(config.every);
        let now = jiff::Timestamp::now().as_second();
        let wait = |name: &str| {
            // After a restart the schedule goes on where it was.
            let since = self.state.of(name).attempt.map(|at| now as f64 - at);
            let left = since.map_or(0.0, |since| (config.every.as_secs_f64() - since).max(0.0));
            Duration::try_from_secs_f64(left)
                .unwrap_or(config.every)
                .min(config.every)
                + many.mul_f64(fastrand::f64())
        };
        self.fleet().update(&collectable, Instant::now(), wait);
        let known = |name: &str| inventory.device(name).is_some();
        self.state.retain(known);
        self.logins.retain(known);
        self.compliance.retain(known);
        self.seen().retain(|name, _| known(name));
    }
}

fn timing(config: &Config) -> Timing {
    Timing {
        every: config.every,
        settle: config.settle,
        settle_at_most: config.settle_at_most,
        between: config.between_device_logins,
    }
}

/// Closes sessions, each for itself: a device that does not answer holds nothing up.
fn close(sessions: impl IntoIterator<Item = Session>) {
    for session in sessions {
        tokio::spawn(session.close());
    }
}

pub(crate) fn host_keys(config: &Config) -> HostKeys {
    HostKeys::new(&config.known_hosts, config.on_unknown)
}

/// Why a device is not collected; `None` when it is.
pub(crate) fn obstacle(config: &Config, device: &Device) -> Option<&'static str> {
    if device.ssh.is_none() {
        Some("no_ssh")
    } else if config.credential(device).is_none() {
        Some("no_credential")
    } else if config.drivers.get(&device.platform).is_none() {
        Some("no_driver")
    } else {
        None
    }
}

/// Collects whoever is due, until it is told to stop.
pub(crate) async fn run(shared: Arc<Shared>, stop: Stop) -> anyhow::Result<()> {
    let mut config = shared.config.clone();
    let mut feed = shared.feed.clone();
    let mut running = JoinSet::new();
    let mut names = HashMap::new();
    let mut save = tokio::time::interval(SAVE);
    // When the next login may be, on whatever device.
    let mut allowed = Instant::now();
    shared.fleet().begin();
    shared.refresh(&config.current());
    loop {
        let now = config.current();
        while running.len() < now.parallel && allowed <= Instant::now() {
            let time = jiff::Timestamp::now();
            let inventory = shared.feed.current();
            let open = |name: &str| {
                let device = inventory.device(name);
                device.is_none_or(|device| now.is_open(device, time))
            };
            let Some((name, reason)) = shared.fleet().take(Instant::now(), open) else {
                break;
            };
            // A short burst is made up for, a long silence is not.
            let burst = Instant::now().checked_sub(BURST).unwrap_or(allowed);
            allowed = allowed.max(burst) + now.between_logins;
            let shared = Arc::clone(&shared);
            let (own, origin, trigger) = (name.clone(), reason.origin.clone(), reason.trigger);
            let task = async move {
                let span = || {
                    let title = format!("the configuration of {own} is collected");
                    tracing::info_span!("collect", otel.name = title, device = own, trigger)
                };
                toolkit::trace::resumed(origin.as_ref(), span, one(&shared, &own, reason)).await
            };
            names.insert(running.spawn(task).id(), name);
        }
        shared
            .counters
            .running
            .set(i64::try_from(running.len()).unwrap_or(i64::MAX));
        let full = running.len() >= now.parallel;
        let next = shared.fleet().next().filter(|_| !full);
        let next = next.map(|next| next.max(allowed));
        let due = async {
            match next {
                Some(next) => tokio::time::sleep_until(next.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            () = shared.wake.notified() => {}
            Some(ended) = running.join_next_with_id() => {
                let (id, ending) = match ended {
                    Ok((id, ending)) => (id, ending),
                    Err(error) => {
                        tracing::error!(%error, "a collection broke off");
                        (error.id(), Ending::Failed { in_a_row: 1, login: false })
                    }
                };
                if let Some(name) = names.remove(&id) {
                    shared.fleet().ended(&name, ending, Instant::now(), timing(&now));
                }
            }
            _ = feed.changed() => shared.refresh(&config.current()),
            () = config.changed() => {
                let config = config.current();
                shared.keys.store(Arc::new(host_keys(&config)));
                shared.hops.forget();
                // Accounts, drivers and what they hide may be others now.
                close(shared.sessions.over(|_| false));
                shared.seen().clear();
                shared.refresh(&config);
                reconsider(&shared).await;
            }
            _ = save.tick() => {
                let inventory = shared.feed.current();
                close(shared.sessions.over(|name| inventory.device(name).is_some()));
                saved(&shared).await;
            }
            () = stop.requested() => break,
        }
    }
    // What is nearly done is kept; the rest is given up, and collected again after the next start.
    let rest = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(ENDING, rest).await.is_err() {
        running.shutdown().await;
    }
    saved(&shared).await;
    Ok(())
}

async fn saved(shared: &Arc<Shared>) {
    let own = Arc::clone(shared);
    let result = blocking(move || own.state.save()).await;
    if let Err(error) = result {
        tracing::error!(error = %format!("{error:#}"), "the state cannot be written; after a restart it is that of before");
    }
}

/// Holds every device against the rules anew.
pub(crate) async fn reconsider(shared: &Arc<Shared>) {
    let own = Arc::clone(shared);
    let result = blocking(move || {
        let (config, inventory) = (own.config.current(), own.feed.current());
        for device in inventory.devices() {
            if let Some(driver) = config.drivers.get(&device.platform) {
                own.compliance
                    .trace(&config.rules, device, &driver, &own.archive)?;
            }
        }
        Ok::<_, git::Error>(())
    })
    .await;
    if let Err(error) = result {
        tracing::error!(error = %format!("{error:#}"), "the rules could not be held against the archive");
    }
}

/// One collection of one device.
async fn one(shared: &Arc<Shared>, name: &str, reason: Reason) -> Ending {
    let inventory = shared.feed.current();
    let config = shared.config.current();
    let Some(device) = inventory.device(name) else {
        return Ending::Good;
    };
    let seconds = jiff::Timestamp::now();
    match collect(shared, &config, device).await {
        Ok((collected, driver)) => {
            let kept = kept(shared, &config, device, &driver, collected, reason, seconds).await;
            // Not before it is kept: whoever sees that it was collected sees what.
            shared.state.change(name, |known| {
                known.attempt = Some(unix(seconds));
                if kept.is_ok() {
                    known.in_a_row = 0;
                }
            });
            match kept {
                Ok(()) => Ending::Good,
                Err(error) => failed(shared, name, "archive", false, &format!("{error:#}")),
            }
        }
        Err(Failure::Ssh(error)) => {
            let changed = matches!(error, ssh::Error::HostKeyChanged { .. });
            shared.state.change(name, |known| {
                known.attempt = Some(unix(seconds));
                known.host_key_changed = changed;
            });
            failed(
                shared,
                name,
                error.reason(),
                error.is_refusal(),
                &chain(&error),
            )
        }
        Err(Failure::Config(message)) => failed(shared, name, "credential", false, &message),
    }
}

fn failed(shared: &Shared, device: &str, reason: &'static str, login: bool, error: &str) -> Ending {
    tracing::warn!(device, reason, error, "not collected");
    shared.counters.failures.with_label_values(&[reason]).inc();
    let mut in_a_row = 0;
    shared.state.change(device, |known| {
        known.failures += 1;
        known.in_a_row = known.in_a_row.saturating_add(1);
        known.reason = Some(reason.to_owned());
        in_a_row = known.in_a_row;
    });
    Ending::Failed { in_a_row, login }
}

/// Why a device was not collected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The device, or the way to it.
    #[error(transparent)]
    Ssh(#[from] ssh::Error),
    /// What was configured for it.
    #[error("{0}")]
    Config(String),
}

/// Where a device is reached, and how. The address is the inventory's.
pub(crate) async fn target(
    config: &Config,
    inventory: &Inventory,
    device: &Device,
    hops: &Hops,
    keys: &Arc<HostKeys>,
) -> Result<Target, Failure> {
    let port = device.ssh.as_ref().map_or(22, |ssh| ssh.port);
    let mut target = Target::new(device.address.to_string(), port);
    target.profile = config.profile(device);
    target.jump = hops.before(config, inventory, device, keys).await?;
    Ok(target)
}

/// Logs in and asks for the configuration. The address is the inventory's, and the account one that is bound to this device.
async fn collect(
    shared: &Arc<Shared>,
    config: &Config,
    device: &Device,
) -> Result<(Collected, Arc<Driver>), Failure> {
    let missing = || Failure::Config("it left the configuration meanwhile".to_owned());
    let credential = config.credential(device).ok_or_else(missing)?;
    let driver = config.drivers.get(&device.platform).ok_or_else(missing)?;
    let login = credential
        .login()
        .map_err(|message| Failure::Config(format!("credential {}: {message}", credential.name)))?;
    let keys = shared.keys.load_full();
    let inventory = shared.feed.current();
    let count = |result| shared.counters.sessions.with_label_values(&[result]).inc();
    let opened = Opened::of(config, device);
    let found = shared.sessions.take(&device.name, &opened).await;
    if matches!(found, Found::Dead) {
        count("dead");
    }
    let mut session = match found {
        Found::Alive(session) => {
            count("kept");
            *session
        }
        Found::Dead | Found::None => {
            let target = target(config, &inventory, device, &shared.hops, &keys).await?;
            count("opened");
            Session::open(&target, &login, &driver, &keys).await?
        }
    };
    let before = session.seconds();
    let known = shared
        .seen()
        .get(&*device.name)
        .copied()
        .unwrap_or_default();
    let collected = session.collect_unless(known.running.as_ref()).await;
    let mut seconds = session.seconds();
    seconds.commands -= before.commands;
    let weak = session.weak().to_vec();
    let mut extra = Extra::default();
    let mut whole = false;
    if let Ok(collected) = &collected
        && collected.complete.is_ok()
    {
        let outputs = config.outputs(&driver);
        (extra, whole) = Extra::of(&mut session, &driver, collected, &known, &outputs).await;
    }
    // A session in which something went wrong is of no further use.
    let most = config.kept_sessions_most;
    let rest = match whole {
        true => shared
            .sessions
            .keep(&device.name, session, opened, config.keep_sessions, most),
        false => Some(session),
    };
    if let Some(session) = rest {
        session.close().await;
    }
    let collected = collected?;
    outputs_kept(shared, &device.name, &driver, &extra).await;
    shared.state.change(&device.name, |known| {
        known.took(seconds);
        known.agreed(&weak);
        known.host_key_changed = false;
        if extra.unsaved.is_some() {
            known.unsaved = extra.unsaved;
        }
        if let Some(facts) = extra.facts {
            known.said(facts);
        }
    });
    Ok((collected, driver))
}

/// Keeps the other answers of a device, masked, where they are others than before.
async fn outputs_kept(shared: &Arc<Shared>, device: &str, driver: &Arc<Driver>, extra: &Extra) {
    let now = jiff::Timestamp::now().as_second();
    let own = extra.outputs.iter();
    let digest = digest(own.flat_map(|(name, text)| [name.as_str(), "\0", text, "\0"]));
    let known = shared.seen().get(device).and_then(|known| known.outputs);
    let startup = extra.startup.as_ref();
    let others = extra.outputs.iter().filter(|_| known != Some(digest));
    let outputs: Vec<(String, String)> = startup
        .map(|(text, _)| ("startup".to_owned(), text.clone()))
        .into_iter()
        .chain(others.cloned())
        .collect();
    if outputs.is_empty() {
        return;
    }
    let (own, driver, name) = (Arc::clone(shared), Arc::clone(driver), device.to_owned());
    let mask = move || {
        let masked = |(name, text): (String, String)| {
            let text = own.masker.mask(Some(&driver), &text).text;
            (name, text)
        };
        Ok::<Vec<_>, git::Error>(outputs.into_iter().map(masked).collect())
    };
    let archive = shared.archive.clone();
    let kept = async {
        let masked = shared.room.look(mask).await?;
        let store = move || archive.store_outputs(&name, &masked, now);
        shared.room.write(store).await
    };
    match kept.await {
        Ok(_) => {
            let mut seen = shared.seen();
            let known = seen.entry(device.to_owned()).or_default();
            known.outputs = Some(digest);
            known.startup = startup.map_or(known.startup, |(_, seen)| Some(*seen));
        }
        Err(error) => {
            tracing::error!(device, error = %format!("{error:#}"), "what it answers beside its configuration could not be kept");
        }
    }
}

/// SHA-256 of texts one behind the other. It stays in memory, since it is of some that are not masked.
fn digest<'a>(texts: impl IntoIterator<Item = &'a str>) -> [u8; 32] {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for text in texts {
        context.update(text.as_bytes());
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

/// What is asked beside the configuration. A device that does not answer has been collected all the same.
#[derive(Default)]
struct Extra {
    /// Absent where neither configuration has changed since.
    unsaved: Option<bool>,
    /// The configuration that it starts with, not masked, where it is another one than before.
    startup: Option<(String, Seen)>,
    facts: Option<Facts>,
    /// Name and text, not masked.
    outputs: Vec<(String, String)>,
}

impl Extra {
    /// What it says, and whether the session is of further use.
    async fn of(
        session: &mut Session,
        driver: &Driver,
        running: &Collected,
        known: &Known,
        outputs: &[&Output],
    ) -> (Self, bool) {
        let mut extra = Self::default();
        let is_known = |collected: &Collected, seen: &Option<Seen>| {
            seen.as_ref().is_some_and(|seen| collected.is(seen))
        };
        match session.startup(known.startup.as_ref()).await {
            Ok(Some(startup)) => {
                let same = is_known(&startup, &known.startup);
                if !same || !is_known(running, &known.running) {
                    extra.unsaved = Some(differ(driver, running.text(), startup.text()));
                }
                if !same {
                    extra.startup = Some((startup.text().to_owned(), startup.seen()));
                }
            }
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(error = chain(&error), "no startup configuration");
                return (extra, false);
            }
        }
        match session.about(outputs).await {
            Ok(about) => {
                extra.facts = Some(about.facts);
                extra.outputs.extend(about.outputs);
                (extra, true)
            }
            Err(error) => {
                tracing::debug!(error = chain(&error), "no facts");
                (extra, false)
            }
        }
    }
}

/// Whether two configurations differ in more than comments and empty lines.
fn differ(driver: &Driver, one: &str, other: &str) -> bool {
    fn lines<'a>(driver: &Driver, text: &'a str) -> impl Iterator<Item = &'a str> {
        let own = text.lines().map(str::trim_end);
        own.filter(move |line| !line.is_empty() && !line.starts_with(driver.comment()))
    }
    lines(driver, one).ne(lines(driver, other))
}

/// Masks what was collected, and keeps it where it is whole and another one than before.
async fn kept(
    shared: &Arc<Shared>,
    config: &Arc<Config>,
    device: &Device,
    driver: &Arc<Driver>,
    collected: Collected,
    mut reason: Reason,
    seconds: jiff::Timestamp,
) -> anyhow::Result<()> {
    if let Err(flaw) = &collected.complete {
        let words = match flaw {
            Incomplete::Refused(words) => shared.masker.mask(Some(driver), words).text,
            _ => String::new(),
        };
        tracing::warn!(device = %device.name, reason = flaw.reason(), said = words.trim(), "configuration is not whole: the one before stays");
        shared
            .state
            .change(&device.name, |known| known.incomplete(flaw));
        return Ok(());
    }
    let known = shared
        .seen()
        .get(&*device.name)
        .and_then(|known| known.running);
    if known.is_some_and(|known| collected.is(&known)) {
        if let Some(known) = shared.seen().get_mut(&*device.name)
            && known.running.is_some_and(|seen| !collected.came_as(&seen))
        {
            // It came in other bytes, which the next ones may be like.
            known.running = Some(collected.seen());
        }
        shared.state.change(&device.name, |known| {
            known.success = Some(unix(seconds));
            known.reason = None;
        });
        return Ok(());
    }
    if reason.user.is_none() {
        let own = config
            .credential(device)
            .map_or("", |credential| credential.user.as_str());
        // What the device writes into its configuration is surer than who was logged in.
        reason.user = match collected.author() {
            Some(author) if author != own => Some(author.to_owned()),
            _ => shared.logins.candidates(&device.name, own, Instant::now()),
        };
    }
    let work = Arc::new(Work {
        shared: Arc::clone(shared),
        config: Arc::clone(config),
        device: device.clone(),
        driver: Arc::clone(driver),
        collected,
    });
    let own = Arc::clone(&work);
    let (masked, fresh) = shared.room.look(move || own.look()).await?;
    let changed = fresh.as_ref().is_some_and(|fresh| fresh.changed);
    let sizes = (
        masked.text.len(),
        masked.text.lines().count(),
        masked.secrets,
    );
    if let Some(fresh) = fresh {
        let own = Arc::clone(&work);
        let store = move || own.store(&masked.text, fresh, reason, seconds);
        shared.room.write(store).await?;
    }
    let seen = work.collected.seen();
    shared
        .seen()
        .entry(device.name.to_string())
        .or_default()
        .running = Some(seen);
    shared.state.change(&device.name, |known| {
        known.success = Some(unix(seconds));
        known.reason = None;
        (known.bytes, known.lines, known.masked) = sizes;
        if changed {
            known.changes += 1;
            known.change = Some(unix(seconds));
        }
    });
    Ok(())
}

/// A whole configuration that did not come as it did before.
struct Work {
    shared: Arc<Shared>,
    config: Arc<Config>,
    device: Device,
    driver: Arc<Driver>,
    collected: Collected,
}

/// What is another one than in the archive.
struct Fresh {
    /// Whether there was one before: the first version is no change.
    changed: bool,
    added: usize,
    removed: usize,
    /// The difference in the unified form, where somebody is told of it.
    diff: String,
    breaches: Breaches,
}

impl Work {
    /// Masks, compares with the newest version, and holds what is another one against the rules: what takes the processor.
    fn look(&self) -> Result<(Masked, Option<Fresh>), git::Error> {
        let Self {
            shared,
            config,
            device,
            driver,
            ..
        } = self;
        let masked = shared.masker.mask(Some(driver), self.collected.text());
        let before = shared.archive.latest(&device.name)?;
        if before.as_ref() == Some(&masked.text) {
            return Ok((masked, None));
        }
        let changed = before.is_some();
        let before = before.unwrap_or_default();
        let difference = diff::difference(driver.structure(), &before, &masked.text);
        let told = changed && (config.webhook.is_some() || shared.lines.is_some());
        let diff = match told {
            true => diff::unified(&before, &masked.text, ["before", "after"]),
            false => String::new(),
        };
        let breaches = breaches(&config.rules, device, driver, &masked.text);
        let fresh = Fresh {
            changed,
            added: difference.added,
            removed: difference.removed,
            diff,
            breaches,
        };
        Ok((masked, Some(fresh)))
    }

    /// Writes a version and tells of it: what waits for the disk.
    fn store(
        &self,
        text: &str,
        fresh: Fresh,
        mut reason: Reason,
        seconds: jiff::Timestamp,
    ) -> Result<(), git::Error> {
        let Self {
            shared,
            config,
            device,
            ..
        } = self;
        let Fresh { added, removed, .. } = fresh;
        if !fresh.changed {
            // The first version is nobody's change.
            reason.user = None;
        }
        let now = seconds.as_second();
        let commit = shared
            .archive
            .store(&device.name, text, now, &reason, [added, removed])?;
        let compliance = &shared.compliance;
        let broken = compliance.broken(&device.name, now);
        let version = Some((now, reason.user.as_deref(), commit.as_str()));
        compliance.note(&config.rules, device, fresh.breaches, version);
        let user = reason.user.as_deref().unwrap_or("unknown");
        tracing::info!(device = %device.name, user, trigger = reason.trigger, added, removed, "configuration changed");
        if !fresh.changed {
            return Ok(());
        }
        let origin = reason.origin.as_ref();
        let news = News {
            device: device.name.to_string(),
            site: device.site.to_string(),
            role: device.role.to_string(),
            user: reason.user.unwrap_or_default(),
            trigger: reason.trigger.to_owned(),
            trace_id: origin.map(Origin::trace_id).unwrap_or_default(),
            commit,
            added,
            removed,
            diff: fresh.diff,
        };
        if config.webhook.is_some() {
            let mut newly = compliance.broken(&device.name, now);
            newly.retain(|rule| !broken.contains(rule));
            if shared.tell.try_send(Change::new(&news, &newly)).is_err() {
                shared.counters.told.with_label_values(&["dropped"]).inc();
            }
        }
        if let Some(lines) = &shared.lines {
            journal::tell(lines, news);
        }
        Ok(())
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of this century are exact"
)]
fn unix(at: jiff::Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}
