//! `sotp-dashboards`: the dashboards in another language.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Parser;
use sotp_checks::{dashboards, root};

/// Write the dashboards with the texts of a list in the place of the English ones.
#[derive(Debug, Parser)]
#[command(name = "sotp-dashboards", version)]
struct Flags {
    /// The list: each English text with what stands for it.
    #[arg(long, default_value = "dashboards/pl.yaml")]
    words: PathBuf,
    /// Where to; each folder of dashboards becomes one in it.
    #[arg(long, default_value = "target/dashboards-pl")]
    output: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let root = root();
    let from = root.join("dashboards");
    let words = dashboards::read_words(&root.join(&flags.words))?;
    for dashboard in dashboards::read(&from)? {
        let (json, missing) = dashboards::in_words(&dashboard, &words);
        if !missing.is_empty() {
            bail!("{}: no words for {missing:?}", dashboard.path.display());
        }
        let to = root
            .join(&flags.output)
            .join(dashboard.path.strip_prefix(&from)?);
        let folder = to.parent().context("a dashboard without a folder")?;
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let text = serde_json::to_string_pretty(&json)? + "\n";
        std::fs::write(&to, text).with_context(|| to.display().to_string())?;
        println!("{}", to.display());
    }
    Ok(())
}
