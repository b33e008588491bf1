//! Real processes of the tests: built, marked, waited for, and gone at the end.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Once, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

/// The program under test.
pub(crate) const LAB: &str = env!("CARGO_BIN_EXE_sotp-lab");

/// The folder of the program under test, in which our services lie as they are now.
pub(crate) fn binaries() -> PathBuf {
    static BUILD: Once = Once::new();
    let folder = Path::new(LAB).parent().unwrap();
    BUILD.call_once(|| {
        // Cargo builds the binaries of this package for its tests, not those of others.
        let mut build = Command::new(env!("CARGO"));
        build.args([
            "build",
            "--quiet",
            "--offline",
            // The whole workspace, as the test run itself: another choice of packages is another choice of their
            // dependencies' features, and would build half of them again.
            "--workspace",
            "--bins",
        ]);
        build.arg("--target-dir").arg(folder.parent().unwrap());
        if folder.ends_with("release") {
            build.arg("--release");
        }
        assert!(
            build.status().unwrap().success(),
            "our services do not build"
        );
    });
    folder.to_path_buf()
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

/// A word for the environment, by which everything that a test starts is found again.
#[derive(Debug, Clone)]
pub(crate) struct Mark(String);

impl Mark {
    pub(crate) const KEY: &str = "SOTP_TEST_MARK";

    pub(crate) fn new() -> Self {
        let time = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        Self(format!("{}-{}", std::process::id(), time.as_nanos()))
    }

    pub(crate) fn word(&self) -> &str {
        &self.0
    }

    /// The command lines of living processes that carry it.
    pub(crate) fn living(&self) -> Vec<String> {
        let mark = format!("{}={}", Self::KEY, self.0);
        let of = |entry: std::fs::DirEntry| {
            let environ = std::fs::read(entry.path().join("environ")).ok()?;
            let ours = environ
                .split(|&byte| byte == 0)
                .any(|part| part == mark.as_bytes());
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let dead = stat
                .rsplit_once(')')
                .is_some_and(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']));
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            (ours && !dead).then(|| String::from_utf8_lossy(&line).replace('\0', " "))
        };
        std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(of)
            .collect()
    }

    /// Waits until none is left.
    pub(crate) fn assert_gone(&self, limit: Duration) {
        eventually("every process is gone", limit, || {
            let living = self.living();
            if living.is_empty() {
                Ok(())
            } else {
                Err(format!("{living:#?}"))
            }
        });
    }
}

/// Asks until the answer is `Ok`; fails with the last answer after `limit`.
pub(crate) fn eventually<T>(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> Result<T, String>,
) -> T {
    let began = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(last) => assert!(
                began.elapsed() < limit,
                "{what}: not within {limit:?}; last: {last}"
            ),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
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
