//! Changes that a device takes back by itself unless they are confirmed: a device in memory that answers as Junos does.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use inventory::Device;
use sotp_remediator::job::{Job, State};
use sotp_remediator::rails::Rail;
use sotp_remediator::runbook::Level;
use sotp_remediator::session::{Access, AccessError, Account, Session};
use ssh::Timer;
use testkit::eventually;

use crate::bench::{BEGIN, Bench, Hand, Works, alert};

const PORT: &str = "ge-0/0/1";

/// What the device does.
#[derive(Default)]
struct Router {
    up: bool,
    /// What was typed, with how.
    typed: Vec<String>,
    /// The change that waits: until when (milliseconds of the clock), and how the port was before.
    waits: Option<(i64, bool)>,
    /// The change loses the device until it was taken back.
    lost_by_it: bool,
    /// The line is taken and does not help.
    broken: bool,
    /// It takes no timer.
    without: bool,
    /// It takes no confirmation.
    deaf: bool,
    /// It can take the change back at once.
    reverts: bool,
}

#[derive(Clone)]
struct Junos(Arc<Mutex<Router>>, Arc<Hand>);

impl Junos {
    /// The device as it is now: what waited too long is taken back.
    fn with<T>(&self, work: impl FnOnce(&mut Router) -> T) -> T {
        let mut router = self.0.lock().unwrap();
        let now = self.1.0.load(Ordering::SeqCst);
        if let Some((until, before)) = router.waits
            && now >= until
        {
            (router.waits, router.up) = (None, before);
        }
        work(&mut router)
    }

    fn typed(&self) -> Vec<String> {
        self.with(|router| router.typed.clone())
    }

    fn reachable(&self) -> Result<(), AccessError> {
        match self.with(|router| router.lost_by_it && router.waits.is_some()) {
            true => Err(AccessError::new("connect", "nobody answers")),
            false => Ok(()),
        }
    }
}

impl Access for Junos {
    fn open<'a>(
        &'a self,
        _: &'a Device,
        _: Account,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, AccessError>> {
        Box::pin(async move {
            self.reachable()?;
            let session: Box<dyn Session> = Box::new(self.clone());
            Ok(session)
        })
    }

    fn mask(&self, _: &Device, text: &str) -> String {
        text.to_owned()
    }
}

impl Session for Junos {
    fn run<'a>(&'a mut self, command: &'a str) -> BoxFuture<'a, Result<String, AccessError>> {
        Box::pin(async move {
            self.reachable()?;
            let up = self.with(|router| router.up);
            let state = if up {
                "Enabled"
            } else {
                "Administratively down"
            };
            Ok(match command {
                "show interfaces ge-0/0/1" => {
                    format!("Physical interface: {PORT}, {state}, Physical link is Up\n")
                }
                _ if up => String::new(),
                _ => "disable;\n".to_owned(),
            })
        })
    }

    fn configure<'a>(
        &'a mut self,
        lines: &'a [String],
    ) -> BoxFuture<'a, Result<String, AccessError>> {
        self.with(|router| {
            router.typed.extend(lines.iter().cloned());
            router.up |= !router.broken;
        });
        Box::pin(async { Ok(String::new()) })
    }

    fn act<'a>(&'a mut self, _: &'a [String]) -> BoxFuture<'a, Result<String, AccessError>> {
        Box::pin(async { Err(AccessError::new("refused", "it knows no such command")) })
    }

    fn configure_until<'a>(
        &'a mut self,
        lines: &'a [String],
        timer: &'a Timer,
    ) -> BoxFuture<'a, Result<Option<String>, AccessError>> {
        let now = self.1.0.load(Ordering::SeqCst);
        let lost = self.with(|router| {
            if router.without {
                return None;
            }
            router.typed.push(format!("with {} min", timer.minutes()));
            router.typed.extend(lines.iter().cloned());
            router.waits = Some((now + i64::from(timer.minutes()) * 60_000, router.up));
            router.up |= !router.broken;
            Some(router.lost_by_it)
        });
        Box::pin(async move {
            match lost {
                None => Ok(None),
                Some(false) => Ok(Some(String::new())),
                Some(true) => Err(AccessError::new("closed", "the connection is gone")),
            }
        })
    }

    fn confirm<'a>(&'a mut self, _: &'a Timer) -> BoxFuture<'a, Result<String, AccessError>> {
        Box::pin(async move {
            self.reachable()?;
            self.with(|router| {
                if router.deaf {
                    return Err(AccessError::new("refused", "the candidate is locked"));
                }
                router.typed.push("confirmed".to_owned());
                router.waits = None;
                Ok(String::new())
            })
        })
    }

    fn revert<'a>(
        &'a mut self,
        _: &'a Timer,
    ) -> BoxFuture<'a, Result<Option<String>, AccessError>> {
        Box::pin(async move {
            self.reachable()?;
            Ok(self.with(|router| {
                let (_, before) = router.waits.filter(|_| router.reverts)?;
                router.typed.push("reverted".to_owned());
                (router.waits, router.up) = (None, before);
                Some(String::new())
            }))
        })
    }
}

/// An engine with the device, and an alert for its port.
async fn begun(change: impl FnOnce(&mut Router)) -> (Bench, Junos, Works) {
    let mut bench = Bench::new(Level::Auto);
    bench.inventory = "
sites: [{name: lab}]
groups:
  - name: routers
    defaults: {site: lab, role: edge, platform: junos, ssh: {}}
devices:
  - {name: r4, address: 192.0.2.4, groups: [routers], ports: [{name: ge-0/0/1, desired: up}]}
";
    bench.port_up(&[("verify_within: 10s", "verify_within: 1s")]);
    let junos = Junos(Arc::default(), Arc::clone(&bench.clock));
    junos.with(change);
    bench.access = Some(Arc::new(junos.clone()));
    let works = bench.works().await;
    works.send(vec![alert("r4", PORT, BEGIN, true)]).await;
    (bench, junos, works)
}

/// The job, once it stands at this state and something was typed.
async fn waiting(works: &Works, junos: &Junos) -> Job {
    eventually(Duration::from_secs(20), || async {
        let job = works.jobs().await.pop().ok_or(std::fmt::Error)?;
        anyhow::ensure!(
            job.state == State::Verifying && !junos.typed().is_empty(),
            "{:?} {}",
            job.state,
            job.reason
        );
        Ok(job)
    })
    .await
    .unwrap()
}

const LINE: &str = "delete interfaces ge-0/0/1 disable";

#[tokio::test]
async fn change_that_helped_is_confirmed_and_stays() {
    let (bench, junos, works) = begun(|_| {}).await;
    let job = works.newest(1, State::Succeeded).await;
    assert!(job.reason.ends_with("confirmed)"), "{}", job.reason);
    assert_eq!(junos.typed(), ["with 2 min", LINE, "confirmed"]);
    let timer = job.plan.unwrap().timer.unwrap();
    assert_eq!(timer.after, ["commit confirmed 2"]);
    bench.later(3_600_000);
    assert!(junos.with(|router| router.up && router.waits.is_none()));
    assert_eq!(bench.metrics.suppressions(Rail::CommitConfirm), 0);
    works.end().await;
}

#[tokio::test]
async fn change_that_loses_the_device_is_taken_back_by_it_and_nothing_more_is_typed() {
    let (bench, junos, works) = begun(|router| router.lost_by_it = true).await;
    let job = waiting(&works, &junos).await;
    assert!(job.armed_until > BEGIN, "{job:?}");
    // Long after the proof is over it still waits for the device.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(works.jobs().await[0].state, State::Verifying);
    bench.later(180_000);
    let job = works.newest_within(1, State::RolledBack, 20).await;
    assert!(job.reason.contains("took it back"), "{}", job.reason);
    assert_eq!(junos.typed(), ["with 2 min", LINE]);
    assert!(!junos.with(|router| router.up));
    assert_eq!(bench.metrics.suppressions(Rail::CommitConfirm), 1);
    works.end().await;
}

#[tokio::test]
async fn change_that_does_not_help_is_taken_back_at_once_where_the_device_can() {
    let (bench, junos, works) = begun(|router| {
        (router.broken, router.reverts) = (true, true);
    })
    .await;
    works.newest_within(1, State::RolledBack, 20).await;
    assert_eq!(junos.typed(), ["with 2 min", LINE, "reverted"]);
    assert_eq!(bench.metrics.suppressions(Rail::CommitConfirm), 1);
    works.end().await;
}

#[tokio::test]
async fn change_that_the_device_lets_nobody_confirm_is_no_success() {
    let (bench, junos, works) = begun(|router| router.deaf = true).await;
    waiting(&works, &junos).await;
    bench.later(181_000);
    let job = works.newest_within(1, State::RolledBack, 20).await;
    assert!(
        job.reason.contains("could not be confirmed")
            && job.reason.contains("the candidate is locked"),
        "{}",
        job.reason
    );
    assert_eq!(junos.typed(), ["with 2 min", LINE]);
    works.end().await;
}

#[tokio::test]
async fn device_without_a_timer_and_a_configuration_that_wants_none_are_as_before() {
    let (_bench, junos, works) = begun(|router| router.without = true).await;
    let job = works.newest(1, State::Succeeded).await;
    assert_eq!(junos.typed(), [LINE]);
    assert!(job.output.contains("takes no timer"), "{}", job.output);
    assert_eq!(job.armed_until, 0);
    works.end().await;

    let mut bench = Bench::new(Level::Auto);
    bench.change(|setup| setup.commit_confirm = false);
    bench.inventory = "devices: [{name: r4, address: 192.0.2.4, platform: junos, ssh: {}, ports: [{name: ge-0/0/1, desired: up}]}]";
    bench.change(|setup| setup.levels[0].group = None);
    let junos = Junos(Arc::default(), Arc::clone(&bench.clock));
    bench.access = Some(Arc::new(junos.clone()));
    let works = bench.works().await;
    works.send(vec![alert("r4", PORT, BEGIN, true)]).await;
    let job = works.newest(1, State::Succeeded).await;
    assert_eq!(junos.typed(), [LINE]);
    assert_eq!(job.plan.unwrap().timer, None);
    works.end().await;
}

/// The process ends while the device waits; the next one finds it as it is.
#[tokio::test]
async fn next_process_confirms_what_helped_and_lets_the_device_take_back_what_did_not() {
    for helps in [true, false] {
        let (bench, junos, works) = begun(|router| {
            router.deaf = true;
            router.broken = !helps;
        })
        .await;
        waiting(&works, &junos).await;
        // Two engines are never at work on one journal: this one only leaves its rows behind.
        let journal = bench.dir.path().to_owned();
        let copy = testkit::TempDir::new().unwrap();
        let files = std::fs::read_dir(&journal).unwrap();
        for file in files.map(|file| file.unwrap()) {
            if file.file_type().unwrap().is_file() {
                std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
            }
        }
        let mut next = Bench::new(Level::Auto);
        (next.dir, next.inventory, next.access) = (copy, bench.inventory, bench.access.clone());
        next.clock = Arc::clone(&bench.clock);
        next.setup = Arc::clone(&bench.setup);
        junos.with(|router| router.deaf = false);
        let second = next.works().await;
        if helps {
            let job = second.newest_within(1, State::Succeeded, 20).await;
            assert!(job.reason.ends_with("confirmed)"), "{}", job.reason);
            assert_eq!(junos.typed()[..2], ["with 2 min", LINE]);
            assert!(junos.typed().contains(&"confirmed".to_owned()));
        } else {
            // It is decided anew only when nothing waits on the device any more.
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            assert_eq!(second.jobs().await[0].state, State::Unknown);
            assert_eq!(junos.typed(), ["with 2 min", LINE]);
            junos.with(|router| router.broken = false);
            bench.later(181_000);
            let job = second.newest_within(1, State::Deferred, 20).await;
            assert!(job.reason.contains("cooldown"), "{}", job.reason);
            bench.later(900_000);
            second.newest_within(1, State::Succeeded, 20).await;
        }
        bench.later(3_600_000);
        second.end().await;
        works.end().await;
    }
}
