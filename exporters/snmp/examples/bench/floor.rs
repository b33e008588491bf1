//! The least that an exporter in Rust needs here: an HTTP server on one thread that sends so many datagrams for each request, waits for as
//! many, and answers with a page that it was given. What a scrape costs beyond that is work of ours.

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sotp_snmp::codec::{self, Operation};
use tokio::net::{TcpListener, UdpSocket};

/// sysUpTime.0.
const UP_TIME: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 3, 0];

/// Serves until it is killed: `--web.listen-address=ADDRESS --exchanges=COUNT --octets=LENGTH`.
pub(crate) fn serve(args: &[String]) -> anyhow::Result<()> {
    let given = |name: &str| {
        let value = args.iter().find_map(|arg| arg.strip_prefix(name));
        value.with_context(|| format!("{name} is missing"))
    };
    let address = given("--web.listen-address=")?.to_owned();
    let exchanges: usize = given("--exchanges=")?.parse()?;
    let page = Bytes::from(vec![b'x'; given("--octets=")?.parse()?]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(&address).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
            let page = page.clone();
            tokio::spawn(async move {
                let answer = service_fn(|request| {
                    let (socket, page) = (Arc::clone(&socket), page.clone());
                    async move {
                        exchange(&socket, &target(&request), exchanges).await;
                        Ok::<_, Infallible>(hyper::Response::new(Full::new(page)))
                    }
                });
                let connection = hyper::server::conn::http1::Builder::new();
                let _ = connection
                    .serve_connection(TokioIo::new(stream), answer)
                    .await;
            });
        }
    })
}

fn target(request: &hyper::Request<hyper::body::Incoming>) -> String {
    let query = request.uri().query().unwrap_or_default();
    let target = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("target="));
    target.unwrap_or_default().to_owned()
}

async fn exchange(socket: &UdpSocket, target: &str, exchanges: usize) {
    let mut buffer = [0; 2048];
    for number in 0..exchanges {
        let id = i32::try_from(number).unwrap_or(0);
        let question = codec::message(2, b"public", Operation::Get, id, &[&UP_TIME]);
        if socket.send_to(&question, target).await.is_err() {
            return;
        }
    }
    for _ in 0..exchanges {
        let _ = socket.recv_from(&mut buffer).await;
    }
}
