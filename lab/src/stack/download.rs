//! Downloads that are verified before anything of them is unpacked.
//!
//! Order: the expected checksum is known first, then the archive is fetched into a `.part` file while it
//! is hashed, then compared, then unpacked beside its place and moved there in one step. What does not
//! match is deleted. A run that is broken off leaves a `.part` or an unfinished folder, never a program.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use reqwest::{Client, Response};
use sha2::{Digest, Sha256};
use tokio::process::Command;

use super::pins::Pin;

/// Bytes of a file of checksums.
const SUMS_LIMIT: usize = 1024 * 1024;
/// Bytes of an archive; the largest, Grafana's, has a fifth of it.
const ARCHIVE_LIMIT: u64 = 2 * 1024 * 1024 * 1024;

/// Why there is no program after a download.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The publisher cannot be reached at all.
    #[error("{0} cannot be reached")]
    Offline(String),
    /// The publisher answered something else.
    #[error("{url} answered {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: String,
    },
    /// The connection broke off.
    #[error("{0} broke off")]
    Broken(String, #[source] reqwest::Error),
    /// More bytes than a file of this kind has.
    #[error("{0} is larger than any such file should be")]
    Large(String),
    /// The publisher's file of checksums does not know the archive.
    #[error("{sums} has no SHA-256 sum for {file}")]
    Unlisted {
        /// The file of checksums.
        sums: String,
        /// The archive.
        file: String,
    },
    /// The bytes are not the ones that were vouched for.
    #[error("{file} is not what it should be: SHA-256 is {found}, expected {expected}; deleted")]
    Checksum {
        /// The archive.
        file: String,
        /// Its checksum.
        found: String,
        /// The checksum wanted.
        expected: String,
    },
    /// The archive cannot be unpacked.
    #[error("{file} cannot be unpacked: {why}")]
    Unpack {
        /// The archive.
        file: String,
        /// What the unpacking program said.
        why: String,
    },
    /// Something on this machine.
    #[error("{0}")]
    Local(String, #[source] std::io::Error),
}

/// Downloads, verifies and unpacks into `folder/NAME-VERSION`, and returns that folder.
///
/// # Errors
/// Anything but a whole, verified, unpacked archive.
pub(crate) async fn fetch(client: &Client, pin: &Pin, folder: &Path) -> Result<PathBuf, Error> {
    let place = folder.join(format!("{}-{}", pin.name, pin.version));
    let local = |error| Error::Local(folder.display().to_string(), error);
    std::fs::create_dir_all(folder).map_err(local)?;
    let expected = expected(client, pin).await?;
    let part = folder.join(format!("{}.part", pin.file()));
    let found = save(client, &pin.url, &part)
        .await
        .inspect_err(|_| drop(std::fs::remove_file(&part)))?;
    if found != expected {
        std::fs::remove_file(&part).map_err(local)?;
        return Err(Error::Checksum {
            file: pin.file().to_owned(),
            found,
            expected,
        });
    }
    let unfinished = folder.join(format!("{}-{}.unfinished", pin.name, pin.version));
    let _ = std::fs::remove_dir_all(&unfinished);
    std::fs::create_dir_all(&unfinished).map_err(local)?;
    let unpacked = unpack(&part, pin.file(), &unfinished).await;
    std::fs::remove_file(&part).map_err(local)?;
    unpacked?;
    let _ = std::fs::remove_dir_all(&place);
    std::fs::rename(&unfinished, &place).map_err(local)?;
    Ok(place)
}

/// The checksum that the archive must have: the user's own, else the publisher's.
async fn expected(client: &Client, pin: &Pin) -> Result<String, Error> {
    if let Some(sum) = pin.sha256() {
        return Ok(sum);
    }
    let unlisted = |sums: &str| Error::Unlisted {
        sums: sums.to_owned(),
        file: pin.file().to_owned(),
    };
    let url = pin
        .checksums
        .as_deref()
        .ok_or_else(|| unlisted("stack.toml"))?;
    let mut answer = get(client, url).await?;
    let mut text = Vec::new();
    while let Some(chunk) = answer
        .chunk()
        .await
        .map_err(|error| Error::Broken(url.to_owned(), error))?
    {
        if text.len() + chunk.len() > SUMS_LIMIT {
            return Err(Error::Large(url.to_owned()));
        }
        text.extend_from_slice(&chunk);
    }
    listed(&String::from_utf8_lossy(&text), pin.file()).ok_or_else(|| unlisted(url))
}

/// The sum of `file` in the output of `sha256sum`, or the one bare sum that is all of `text`.
fn listed(text: &str, file: &str) -> Option<String> {
    let sum = |word: &str| {
        let hex = word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        hex.then(|| word.to_ascii_lowercase())
    };
    if let Some(bare) = sum(text.trim()) {
        return Some(bare);
    }
    text.lines().find_map(|line| {
        let (word, name) = line.trim().split_once([' ', '\t'])?;
        let name = name.trim_start_matches([' ', '\t', '*']);
        (name.strip_prefix("./").unwrap_or(name) == file).then(|| sum(word))?
    })
}

async fn get(client: &Client, url: &str) -> Result<Response, Error> {
    let host = || {
        reqwest::Url::parse(url)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned))
    };
    let answer = client.get(url).send().await.map_err(|error| {
        if error.is_connect() || error.is_timeout() {
            Error::Offline(host().unwrap_or_else(|| url.to_owned()))
        } else {
            Error::Broken(url.to_owned(), error)
        }
    })?;
    match answer.status() {
        status if status.is_success() => Ok(answer),
        status => Err(Error::Status {
            url: url.to_owned(),
            status: status.to_string(),
        }),
    }
}

/// Saves `url` as `path` and returns its SHA-256 sum in lower-case hexadecimal.
async fn save(client: &Client, url: &str, path: &Path) -> Result<String, Error> {
    let local = |error| Error::Local(path.display().to_string(), error);
    let mut answer = get(client, url).await?;
    let mut file = std::fs::File::create(path).map_err(local)?;
    let mut hash = Sha256::new();
    let mut size = 0;
    while let Some(chunk) = answer
        .chunk()
        .await
        .map_err(|error| Error::Broken(url.to_owned(), error))?
    {
        size += chunk.len() as u64;
        if size > ARCHIVE_LIMIT {
            return Err(Error::Large(url.to_owned()));
        }
        hash.update(&chunk);
        file.write_all(&chunk).map_err(local)?;
    }
    Ok(hash
        .finalize()
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }))
}

async fn unpack(archive: &Path, name: &str, into: &Path) -> Result<(), Error> {
    let failed = |why: String| Error::Unpack {
        file: name.to_owned(),
        why,
    };
    let zip = name.ends_with(".zip");
    let mut command = if zip {
        Command::new("unzip")
    } else {
        Command::new("tar")
    };
    if zip {
        command.arg("-q").arg(archive).arg("-d").arg(into);
    } else {
        command
            .arg("-xzf")
            .arg(archive)
            .arg("--no-same-owner")
            .arg("-C")
            .arg(into);
    }
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| {
            failed(if zip {
                format!("unzip: {error} (Debian package unzip)")
            } else {
                format!("tar: {error}")
            })
        })?;
    if !output.status.success() {
        return Err(failed(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ));
    }
    if zip {
        // Zip archives of Go programs carry no permissions.
        for entry in std::fs::read_dir(into).into_iter().flatten().flatten() {
            let _ = std::fs::set_permissions(entry.path(), PermissionsExt::from_mode(0o755));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
