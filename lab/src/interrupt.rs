//! Ctrl-C, the end of a terminal, and the wish of a supervisor: heard at any moment, also while something is built that blocks.

use std::fs::OpenOptions;
use std::os::fd::AsFd as _;

use anyhow::Context as _;
use nix::unistd::{dup2_stderr, dup2_stdout};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Whether, and by which signal, this process is to end.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(watch::Receiver<Option<u8>>);

impl Interrupt {
    /// Hears SIGINT, SIGTERM and SIGHUP from now on, on a thread of its own.
    ///
    /// # Errors
    /// The kernel or the runtime refuses.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let (tell, told) = watch::channel(None);
        let (ready, begun) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let heard = || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                let _entered = runtime.enter();
                let interrupt = signal(SignalKind::interrupt())?;
                let terminate = signal(SignalKind::terminate())?;
                let hangup = signal(SignalKind::hangup())?;
                drop(_entered);
                std::io::Result::Ok((runtime, interrupt, terminate, hangup))
            };
            let (runtime, mut interrupt, mut terminate, mut hangup) = match heard() {
                Ok(heard) => heard,
                Err(error) => {
                    let _ = ready.send(Err(error));
                    return;
                }
            };
            let _ = ready.send(Ok(()));
            let code = runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => 130,
                    _ = terminate.recv() => 143,
                    _ = hangup.recv() => {
                        // The terminal is gone, and who writes to it would be ended by that.
                        if let Ok(null) = OpenOptions::new().write(true).open("/dev/null") {
                            let _ = dup2_stdout(null.as_fd());
                            let _ = dup2_stderr(null.as_fd());
                        }
                        129
                    }
                }
            });
            // Those who listened may be gone.
            let _ = tell.send(Some(code));
            // The handlers stay: another one must not end what is ending in order.
            std::mem::forget(runtime);
        });
        begun.recv().context("signals")?.context("signals")?;
        Ok(Self(told))
    }

    /// Whether it has come.
    pub(crate) fn came(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Waits for it and gives the exit status that shells give for the signal.
    pub(crate) async fn wait(&self) -> u8 {
        let mut told = self.0.clone();
        let code = told.wait_for(Option::is_some).await;
        match code.ok().and_then(|code| *code) {
            Some(code) => code,
            // The thread is gone, and nothing will come.
            None => std::future::pending().await,
        }
    }
}
