//! A lab of somebody who is not root.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::net::said;
use crate::processes::{LAB, Mark};

/// A user of this machine for one test, with ranges of subordinate ids.
pub(super) struct OrdinaryUser {
    name: String,
    _folder: testkit::TempDir,
    pub(super) program: String,
    pub(super) run: PathBuf,
    pub(super) mark: Mark,
}

impl OrdinaryUser {
    /// `None`, with the reason on standard error, where there cannot be one.
    pub(super) fn new() -> Option<Self> {
        let id = Command::new("id").arg("-u").output().unwrap();
        if id.stdout != b"0\n" {
            testkit::skip("only root can create a user");
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
        let folder = testkit::TempDir::new().unwrap();
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
