//! What it costs at most to have devices collected.

use std::time::Duration;

use testkit::eventually;
use testkit::ssh::Fault;

use crate::world::World;

/// Two devices that stop in the middle of their configuration; five requests.
async fn sessions(parallel: usize) -> [usize; 2] {
    let world = World::of(|device| device.fault(Fault::Stall(20))).await;
    let config = world.dir.join("ssh-config.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}parallel: {parallel}\n")).unwrap();
    let process = world.start().await;
    let asks = ["r1", "r2", "r1", "r2", "r1"].map(|device| {
        let url = process.url(&format!("/api/v1/devices/{device}/collect"));
        let request = testkit::client().post(url);
        tokio::spawn(request.basic_auth("alice", Some("reads")).send())
    });
    let begun = || {
        [&world.r1, &world.r2].map(|device| {
            let typed = device.typed();
            let shows = typed.iter().filter(|line| *line == "show running-config");
            shows.count()
        })
    };
    eventually(Duration::from_secs(30), || async {
        let begun: usize = begun().iter().sum();
        anyhow::ensure!(begun >= parallel.min(2), "{begun} sessions");
        Ok(())
    })
    .await
    .unwrap();
    for ask in asks {
        let answer = ask.await.unwrap().unwrap();
        assert_eq!(answer.status().as_u16(), 202);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    begun()
}

#[tokio::test]
async fn a_device_has_one_session_and_all_have_as_many_as_are_allowed() {
    let (one, many) = tokio::join!(sessions(1), sessions(30));
    assert_eq!(one.iter().sum::<usize>(), 1, "in all: {one:?}");
    assert_eq!(many, [1, 1], "on a device");
}
