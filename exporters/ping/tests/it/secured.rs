//! An inventory behind a password.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use crate::service::{Files, of};
use testkit::namespace;

/// Answers every request with an inventory of one device, if it carries this `Authorization`; ends with the process.
fn serve(wanted: Arc<Mutex<&'static str>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> = lines
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .collect();
            let given = head.iter().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("authorization")
                    .then(|| value.trim().to_owned())
            });
            let good = given.as_deref() == Some(*wanted.lock().unwrap());
            let (status, body) = if good {
                (
                    "200 OK",
                    "{\"devices\":[{\"name\":\"d1\",\"address\":\"127.0.0.1\"}]}",
                )
            } else {
                ("401 Unauthorized", "no")
            };
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn a_password_is_read_from_its_file_and_again_when_it_changes() {
    let test = "secured::a_password_is_read_from_its_file_and_again_when_it_changes";
    let Some(namespace) = namespace::enter(test) else {
        return;
    };
    // "reader:first" and "reader:second" (RFC 7617).
    let wanted = Arc::new(Mutex::new("Basic cmVhZGVyOmZpcnN0"));
    let url = serve(Arc::clone(&wanted));
    let files = Files::new("devices: []\n", "probe: {interval: 100ms}\n");
    files.write("password", "first\n");
    let flags = [
        format!("--inventory.source={url}"),
        "--inventory.username=reader".into(),
        format!(
            "--inventory.password-file={}",
            files.path("password").display()
        ),
    ];
    let mut service = files.start_with(&namespace, &flags).await;
    service
        .until("the device is probed", |samples| {
            of(samples, "ping_responses_total", "d1", "ipv4") >= 1.0
        })
        .await;
    *wanted.lock().unwrap() = "Basic cmVhZGVyOnNlY29uZA==";
    let up = |wanted| {
        move |samples: &testkit::Samples| {
            samples.value("sotp_inventory_source_up", &[]) == Some(wanted)
        }
    };
    service.until("the old password is refused", up(0.0)).await;
    files.write("password", "second\n");
    let samples = service.until("the new one is read", up(1.0)).await;
    assert!(of(&samples, "ping_responses_total", "d1", "ipv4") >= 1.0);
    let log = service.log();
    assert!(!log.contains("first") && !log.contains("second"), "{log}");
}

#[test]
fn a_user_for_a_file_is_refused() {
    let Some(namespace) = namespace::enter("secured::a_user_for_a_file_is_refused") else {
        return;
    };
    let files = Files::new("devices: []\n", "");
    let flags = ["--inventory.username=reader", "--inventory.password-file=p"];
    let (status, error) = files.run_with(&namespace, &flags);
    assert_eq!(status.code(), Some(1), "{error}");
    assert!(
        error.contains("--inventory.source: a file, but there is a user"),
        "{error}"
    );
}
