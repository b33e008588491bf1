//! Real processes of the tests: built, marked, waited for, and gone at the end.

use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

pub(crate) use testkit::{Mark, until as eventually};

/// The program under test.
pub(crate) const LAB: &str = env!("CARGO_BIN_EXE_sotp-lab");

/// The folder of our services.
pub(crate) fn binaries() -> PathBuf {
    let table = services::Table::ours().unwrap();
    let launched = table.service.into_iter().filter(|service| service.launched);
    testkit::services::programs(launched.map(|service| service.name))
}

static MACHINE: RwLock<()> = RwLock::new(());

/// The machine for one test alone: it measures times of a network.
pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().unwrap_or_else(PoisonError::into_inner)
}

/// The machine for a test that starts much and bears others beside it.
pub(crate) fn among_others() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for the end of `child`; kills it and fails after `limit`.
pub(crate) fn ended(child: &mut Child, limit: Duration) -> ExitStatus {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if began.elapsed() > limit {
            let _ = child.kill();
            panic!("the process does not end within {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
