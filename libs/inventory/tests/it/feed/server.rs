//! An HTTP server that answers what a test says and remembers what it was asked.

use std::sync::{Arc, Mutex};

use inventory::{CHECKED, Source, UrlOptions};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

#[derive(Default)]
struct State {
    status: u16,
    body: String,
    tag: String,
    checked: bool,
    heads: Vec<String>,
}

pub(crate) struct Server {
    address: String,
    state: Arc<Mutex<State>>,
    stop: tokio::sync::watch::Sender<bool>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::listen(None).await
    }

    /// Over TLS, with the certificate and key in `config`.
    pub(crate) async fn start_tls(config: rustls::ServerConfig) -> Self {
        Self::listen(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn listen(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State::default()));
        let (stop, mut stopped) = tokio::sync::watch::channel(false);
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = stopped.wait_for(|stop| *stop) => return,
                    accepted = listener.accept() => {
                        let (stream, shared, tls) = (accepted.unwrap().0, Arc::clone(&shared), tls.clone());
                        tokio::spawn(async move {
                            match tls {
                                None => serve(stream, shared).await,
                                Some(tls) => {
                                    if let Ok(stream) = tls.accept(stream).await {
                                        serve(stream, shared).await;
                                    }
                                }
                            }
                        });
                    }
                }
            }
        });
        Self {
            address,
            state,
            stop,
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn source(&self, options: UrlOptions) -> Source {
        format!("http://{}", self.address)
            .parse::<Source>()
            .unwrap()
            .with_options(options)
    }

    /// What is answered from now on; 304 to those who know a 200 by its tag.
    pub(crate) fn answer(&self, status: u16, body: String, tag: &str) {
        let mut state = self.state.lock().unwrap();
        (state.status, state.body, state.tag) = (status, body, tag.to_owned());
        state.checked = false;
    }

    /// As [`Server::answer`], by a service that has compared it with what it answered before.
    pub(crate) fn answer_checked(&self, status: u16, body: String, tag: &str) {
        self.answer(status, body, tag);
        self.state.lock().unwrap().checked = true;
    }

    /// The heads of all requests, names in lower case.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.state.lock().unwrap().heads.clone()
    }

    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }
}

/// One request; the connection ends with its answer.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, state: Arc<Mutex<State>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < 16_384 {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let answer = {
        let mut state = state.lock().unwrap();
        let head = String::from_utf8(head).unwrap();
        let known =
            state.status == 200 && head.contains(&format!("if-none-match: {}\r\n", state.tag));
        let (status, body) = if known {
            (304, "")
        } else {
            (state.status, &*state.body)
        };
        let answer = format!(
            "HTTP/1.1 {status} x\r\netag: {}\r\n{CHECKED}: {}\r\nlocation: /\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            state.tag,
            state.checked,
            body.len()
        );
        state.heads.push(head);
        answer
    };
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}
