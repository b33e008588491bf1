//! `sotp-packages`: what is handed out of a build.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use sotp_checks::packages::notices::{self, Graph};
use sotp_checks::packages::{deb, image};
use sotp_checks::root;

/// Debian packages, images, notices and parts lists of what cargo has built.
#[derive(Debug, Parser)]
#[command(name = "sotp-packages", version)]
struct Flags {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Debian packages of all services, or of those that are named, and of the whole.
    Deb {
        /// Folder of the programs.
        #[arg(long, default_value = "target/release")]
        bin_dir: PathBuf,
        /// Folder of the packages.
        #[arg(long, default_value = "target/deb")]
        out: PathBuf,
        /// Version by Debian's rules.
        #[arg(long, default_value = env!("CARGO_PKG_VERSION"))]
        version: String,
        /// Pack fast rather than small.
        #[arg(long)]
        fast: bool,
        /// Packages, all unless given.
        only: Vec<String>,
    },
    /// An image of one service as an OCI layout.
    Image {
        /// Folder of the programs.
        #[arg(long, default_value = "target/release")]
        bin_dir: PathBuf,
        /// Folder of images.
        #[arg(long, default_value = "target/images")]
        out: PathBuf,
        /// Program, such as `sotp-ping`.
        name: String,
    },
    /// Notices of the parts that a program is linked from, in Markdown.
    Notices {
        /// Package, such as `sotp-ping`.
        name: String,
    },
    /// List of the same parts, in CycloneDX.
    Parts {
        /// Package, such as `sotp-ping`.
        name: String,
    },
}

fn main() -> anyhow::Result<()> {
    let root = root();
    let version = env!("CARGO_PKG_VERSION");
    match Flags::parse().what {
        What::Deb {
            bin_dir,
            out,
            version,
            fast,
            only,
        } => {
            let programs = bin_dir;
            let app = root.join("target/app/dist");
            let make = deb::Make {
                root,
                app,
                programs,
                out,
                version,
                fast,
            };
            for file in make.packages(&only)? {
                println!("{}", file.display());
            }
        }
        What::Image { bin_dir, out, name } => {
            let out = out.join(&name);
            std::fs::create_dir_all(&out)?;
            image::make(&root, &bin_dir, &name, version, &out)?;
            println!("{}", out.display());
        }
        What::Notices { name } => {
            print!("{}", notices::notices(&root, &Graph::read(&root)?, &name)?);
        }
        What::Parts { name } => {
            let parts = notices::parts_list(&Graph::read(&root)?, &name, version)?;
            println!("{}", serde_json::to_string_pretty(&parts)?);
        }
    }
    Ok(())
}
