//! An SNMP password rotated in its file is used at the next scrape.

use std::path::PathBuf;

use anyhow::Context;

use crate::credentials::word;
use crate::demo::story::{Play, Stage, Step};
use crate::demo::watch::calm;
use crate::files::file;
use crate::node::place;

/// Whether the routers answer to the exporter, by Prometheus.
const ANSWER: &str = "up{job=\"snmp\"}";

pub(super) const STEP: Step = Step {
    name: "secret",
    what: "an SNMP password rotated in its file is used at the next scrape; the old one is worth nothing any more",
    bound: 10,
    play: |play| Box::pin(secret(play)),
    undo: |stage| {
        Box::pin(async {
            let secrets = stage.lab.credentials()?;
            let (auth, privacy) = (&secrets.snmp_auth_password, &secrets.snmp_privacy_password);
            on_routers(stage, auth, privacy).await?;
            in_files(stage, auth, privacy)
        })
    },
};

async fn secret(play: &mut Play<'_>) -> anyhow::Result<()> {
    let stage = play.stage;
    let routers = stage.lab.topology().routers().count();
    let all = |value: u8| format!("count({ANSWER} == {value}) == {routers}");
    calm(stage).await?;
    play.until_query("every router answers to the old password", &all(1))
        .await?;
    let (auth, privacy) = (word()?, word()?);
    on_routers(stage, &auth, &privacy).await?;
    play.saw("every router has a new password");
    play.until_query("none answers to the old one any more", &all(0))
        .await?;

    play.trigger("the new password is written into its file");
    in_files(stage, &auth, &privacy)?;
    play.until_query("every router answers to the new one", &all(1))
        .await?;
    Ok(())
}

/// Gives snmpd on every router new passwords: they stand in no process argument.
async fn on_routers(stage: &Stage<'_>, auth: &str, privacy: &str) -> anyhow::Result<()> {
    let user = stage.lab.credentials()?.user;
    let line = format!("createUser {user} SHA \"{auth}\" AES \"{privacy}\"\n");
    for router in stage.lab.topology().routers() {
        let folder = place::of(&router.name);
        let users = folder.join("snmp-state/snmpd.conf");
        stage.append(&router.name, &users, &line).await?;
        let own = format!("{}/", folder.display());
        let again = "for p in $(pidof snmpd); do \
                     if grep -qF \"$0\" /proc/$p/cmdline; then kill -HUP $p; fi; done";
        stage
            .run(Some(&router.name), &["sh", "-c", again, &own])
            .await?;
    }
    Ok(())
}

/// Writes the passwords where the exporter reads them, each at once.
fn in_files(stage: &Stage<'_>, auth: &str, privacy: &str) -> anyhow::Result<()> {
    for (name, word) in [("password", auth), ("priv_password", privacy)] {
        let path: PathBuf = stage.state().join("snmp").join(name);
        let new = path.with_extension("new");
        file(&new, word, 0o600).with_context(|| new.display().to_string())?;
        std::fs::rename(&new, &path).with_context(|| path.display().to_string())?;
    }
    Ok(())
}
