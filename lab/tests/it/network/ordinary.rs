//! A lab of somebody who is not root.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::net::said;
use crate::processes::{LAB, Mark};

/// A user of this machine for one test, with ranges of subordinate ids. It is known in a view of `/etc` that only this thread and what it
/// starts have: a new `/etc/passwd` on the machine would end the bind mounts that the routers of other tests have on the old one.
pub(super) struct OrdinaryUser {
    name: String,
    _folder: testkit::TempDir,
    pub(super) program: String,
    pub(super) run: PathBuf,
    pub(super) mark: Mark,
}

/// Gives this thread a mount namespace of its own, in which `/etc` is written to `folder`.
fn view_of_etc(folder: &Path) -> Result<(), String> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).map_err(|error| error.to_string())?;
    let [upper, work] = ["etc", "etc.work"].map(|name| folder.join(name));
    for place in [&upper, &work] {
        std::fs::create_dir(place).map_err(|error| error.to_string())?;
    }
    let layers = format!(
        "lowerdir=/etc,upperdir={},workdir={}",
        upper.display(),
        work.display()
    );
    for arguments in [
        &["--make-rprivate", "/"][..],
        &["-t", "overlay", "overlay", "-o", &layers, "/etc"],
    ] {
        let output = Command::new("mount").args(arguments).output();
        let output = output.map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(said(&output));
        }
    }
    Ok(())
}

impl OrdinaryUser {
    /// `None`, with the reason on standard error, where there cannot be one.
    pub(super) fn new() -> Option<Self> {
        let id = Command::new("id").arg("-u").output().unwrap();
        if id.stdout != b"0\n" {
            testkit::skip("only root can create a user");
            return None;
        }
        let folder = testkit::TempDir::new().unwrap();
        if let Err(why) = view_of_etc(folder.path()) {
            testkit::skip(format_args!("no view of /etc of its own: {why}"));
            return None;
        }
        let name = format!("sotplab{}", std::process::id());
        let made = Command::new("useradd")
            .args(["--no-create-home", &name])
            .output();
        if !made.is_ok_and(|made| made.status.success()) {
            testkit::skip("useradd does not work here");
            return None;
        }
        // The state folder lies where users have it, below a folder that the box covers with its own.
        let run = Path::new("/run").join(&name);
        // Its own copy: the build folder may be closed to it.
        let program = folder.program(LAB).unwrap();
        std::fs::create_dir(&run).unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        assert!(
            Command::new("chown")
                .arg(&name)
                .arg(&run)
                .status()
                .unwrap()
                .success()
        );
        let user = Self {
            name,
            program: program.display().to_string(),
            _folder: folder,
            run,
            mark: Mark::new(),
        };
        let namespaces = user.run(&["unshare", "--map-root-user", "--map-auto", "--net", "true"]);
        if !namespaces.status.success() {
            testkit::skip(format_args!(
                "no user namespaces for ordinary users: {}",
                said(&namespaces)
            ));
            return None;
        }
        Some(user)
    }

    pub(super) fn run(&self, argv: &[&str]) -> std::process::Output {
        let mut command = Command::new("runuser");
        command
            .args(["-u", &self.name, "--", "timeout", "--kill-after=5", "90"])
            .args(argv);
        command
            .env("XDG_RUNTIME_DIR", &self.run)
            .env(Mark::KEY, self.mark.word());
        command
            .current_dir("/")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    pub(super) fn lab(&self, args: &[&str]) -> std::process::Output {
        self.run(&[&[self.program.as_str()], args].concat())
    }
}

impl Drop for OrdinaryUser {
    fn drop(&mut self) {
        let _ = self.lab(&["down"]);
        let _ = std::fs::remove_dir_all(&self.run);
        let _ = Command::new("userdel").arg(&self.name).status();
    }
}
