//! The command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use certs::{Authority, Error, Part};
use clap::Parser;

/// Gives each part of the stack a certificate of this machine's own authority, which is made at the first run. What holds for more than a
/// third of its lifetime is left as it is.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    /// Folder of the authority and of the parts' folders.
    #[arg(long, value_name = "DIR", env = "SOTP_CERTS_FOLDER")]
    folder: PathBuf,
    /// Lifetime of a certificate, such as 720h.
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = units::duration)]
    lifetime: Duration,
    /// Names and addresses that every part is called by, beside its own name.
    #[arg(
        long,
        value_name = "HOST,…",
        value_delimiter = ',',
        default_value = "localhost,127.0.0.1"
    )]
    hosts: Vec<String>,
    /// Goes on, and renews what is due each hour.
    #[arg(long)]
    watch: bool,
    /// Folder of files that name further parts, one in each line. One whose group is not known here waits until it is.
    #[arg(long, value_name = "DIR")]
    parts_from: Option<PathBuf>,
    /// The parts, each with the group that may read its key where that is not the user's own.
    #[arg(value_name = "NAME[:GROUP]", required_unless_present = "parts_from")]
    parts: Vec<String>,
}

/// Gives and renews certificates; once, or for as long as it runs.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    loop {
        match renewed(arguments) {
            Ok(names) if names.is_empty() => {}
            Ok(names) => println!("renewed: {}", names.join(" ")),
            Err(error) => {
                eprintln!("sotp-certs: {error:#}");
                if !arguments.watch {
                    return ExitCode::FAILURE;
                }
            }
        }
        if !arguments.watch {
            return ExitCode::SUCCESS;
        }
        std::thread::sleep(Duration::from_secs(3_600).min(arguments.lifetime / 6));
    }
}

/// Renews what is due; the names of the parts that it gave a certificate. One that fails keeps none of the others from theirs.
fn renewed(arguments: &Arguments) -> anyhow::Result<Vec<String>> {
    let authority = Authority::open(&arguments.folder)?;
    let mut renewed = Vec::new();
    let mut wrong = Vec::new();
    let listed = arguments.parts_from.as_deref().map(listed).transpose()?;
    let given = arguments.parts.iter().map(|part| (part, false));
    let listed = listed.iter().flatten().map(|part| (part, true));
    for (part, waits) in given.chain(listed) {
        let part = arguments.part(part);
        match authority.renew(&part, arguments.lifetime) {
            Ok(true) => renewed.push(part.name),
            Ok(false) => {}
            Err(Error::Group(group)) if waits => {
                println!("{} waits for the group {group}", part.name);
            }
            Err(error) => {
                let error = anyhow::Error::new(error);
                wrong.push(format!("the certificate of {}: {error:#}", part.name));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(renewed)
}

/// The parts that the files of a folder name, in the order of the files' names; a line that begins with `#` is for people.
fn listed(folder: &Path) -> anyhow::Result<Vec<String>> {
    let context = |path: &Path| path.display().to_string();
    let mut files = Vec::new();
    for entry in folder.read_dir().with_context(|| context(folder))? {
        files.push(entry.with_context(|| context(folder))?.path());
    }
    files.sort();
    let mut parts = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).with_context(|| context(&file))?;
        let lines = text.lines().map(str::trim);
        let named = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        parts.extend(named.map(str::to_owned));
    }
    Ok(parts)
}

impl Arguments {
    fn part(&self, text: &str) -> Part {
        let (name, group) = match text.split_once(':') {
            Some((name, group)) => (name, Some(group.to_owned())),
            None => (text, None),
        };
        let mut hosts = self.hosts.clone();
        hosts.push(name.to_owned());
        hosts.sort();
        hosts.dedup();
        Part {
            name: name.to_owned(),
            hosts,
            group,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A part of a list whose group is not there yet, as Grafana's before Grafana is installed, waits; one that is given is an error; and
    /// neither keeps the others from theirs.
    #[test]
    fn a_part_that_cannot_have_one_keeps_no_other_from_its_certificate() {
        let place = testkit::TempDir::new().unwrap();
        let list = place.join("parts");
        std::fs::create_dir(&list).unwrap();
        let others = "# Of others.\ngrafana:no-such-group\n\n loki\n";
        std::fs::write(list.join("whole"), others).unwrap();
        let folder = place.join("tls");
        let of = |parts: &[&str]| {
            let flags = [
                "sotp-certs".to_owned(),
                format!("--folder={}", folder.display()),
            ];
            let list = format!("--parts-from={}", list.display());
            let parts = parts.iter().map(|&part| part.to_owned());
            Arguments::parse_from(flags.into_iter().chain([list]).chain(parts))
        };
        assert_eq!(renewed(&of(&["ping"])).unwrap(), ["ping", "loki"]);
        assert_eq!(renewed(&of(&["ping"])).unwrap(), Vec::<String>::new());
        let error = renewed(&of(&["snmp:no-such-group", "rum"])).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains("snmp: no group no-such-group"), "{error}");
        assert!(folder.join("rum/tls.crt").is_file());
        assert!(!folder.join("grafana/tls.crt").exists());
        // Each is called by its own name and by those of the machine.
        let part = of(&[]).part("loki:7");
        assert_eq!(part.hosts, ["127.0.0.1", "localhost", "loki"]);
        assert_eq!(part.group.as_deref(), Some("7"));
        assert!(Arguments::try_parse_from(["sotp-certs", "--folder=x"]).is_err());
    }
}
