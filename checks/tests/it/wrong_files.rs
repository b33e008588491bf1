//! Where a flag names another file by mistake, or a link leads elsewhere, nothing of what is in that file is told to anybody.

use std::time::Duration;

use testkit::{Process, TempDir, eventually};

use crate::limits::{all, start};

const CONFIG: &str = "config.yaml";

/// Files of others, each with a secret.
const OTHERS: [&str; 7] = [
    "root:$6$hunter2:19000:0:99999:7:::\nbin:hunter2:1\n",
    "hunter2",
    "password: hunter2\nhunter2: x\n",
    "- hunter2\n",
    "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n",
    "{hunter2",
    "a: [hunter2\n",
];

/// What a reload and the log say; a configuration is refused.
async fn told(name: &str, process: &Process, file: &str, wrong: &str) {
    let (code, answer) = process.post("/-/reload", "").await.unwrap();
    assert!(code == 500 || file != CONFIG, "{name} {wrong}: {answer}");
    if file != CONFIG {
        // It is read when it has changed, not only when it is asked for.
        let why = "inventory.yaml:";
        process.logged(why, Duration::from_secs(20)).await.unwrap();
    }
    for text in [answer, process.log()] {
        assert!(!text.contains("hunter2"), "{name} {wrong}: {text}");
    }
}

#[tokio::test]
async fn no_service_quotes_a_file_that_is_not_its_own() {
    let mut followed = 0;
    for name in all() {
        let dir = TempDir::new().unwrap();
        let process = start(&name, &dir).await;
        for file in [CONFIG, "inventory.yaml"] {
            let path = dir.join(file);
            let Ok(own) = std::fs::read(&path) else {
                continue;
            };
            followed += 1;
            for wrong in OTHERS {
                std::fs::write(&path, wrong).unwrap();
                told(&name, &process, file, wrong).await;
            }
            std::fs::write(&path, own).unwrap();
            let taken = async || {
                let (code, told) = process.post("/-/reload", "").await?;
                anyhow::ensure!(code == 200, "{name}: {told}");
                Ok(())
            };
            eventually(Duration::from_secs(10), taken).await.unwrap();
        }
    }
    assert!(followed > 10, "{followed} files");
}
