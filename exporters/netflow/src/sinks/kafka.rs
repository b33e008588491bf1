//! Single flows to Kafka, in goflow2's form: one or more messages of protobuf in each record, each behind its length.
//!
//! A block of flows is one request, which every replica in sync acknowledges before it counts as delivered. It is tried again until then, so a
//! flow may come twice; what waits meanwhile is bounded, see [`super::Sink`]. The topic must exist: nothing is created here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::try_join_all;
use rskafka::BackoffConfig;
use rskafka::chrono::{DateTime, Utc};
use rskafka::client::partition::{Compression, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder, Credentials, SaslConfig};
use rskafka::record::Record;
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;
use toolkit::{SecretFile, Stop};

use super::{Counts, Exported, protobuf};

/// Requests that are under way at once, each to another partition.
const MOST_WORKERS: usize = 8;
/// How long a request may take, with what is tried again within it.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause after a failure, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// What waits when the service ends is sent within so long, or given up.
const DRAIN: Duration = Duration::from_secs(5);
/// The thread that takes datagrams hands over its last block within so long.
const LAST_BLOCK: Duration = Duration::from_millis(500);
/// Longest answer of a broker.
const LONGEST_ANSWER: usize = 16 << 20;

/// Where to.
#[derive(Debug, Clone)]
pub struct Kafka {
    /// Brokers to begin with, `HOST:PORT`.
    pub brokers: Vec<String>,
    /// The topic.
    pub topic: String,
    /// Flows in one record.
    pub flows_per_message: usize,
    /// Records of a request are compressed by snappy.
    pub snappy: bool,
    /// TLS, where it is spoken.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// Who logs in.
    pub login: Option<Login>,
}

/// Who logs in by SASL.
#[derive(Debug, Clone)]
pub struct Login {
    /// How the password is proved.
    pub mechanism: Mechanism,
    /// The user.
    pub username: String,
    /// The file with the password; read again at each connection.
    pub password: Arc<SecretFile>,
}

/// A mechanism of SASL.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    serde::Deserialize,
    serde::Serialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// The password itself; only over TLS.
    Plain,
    /// RFC 7677.
    ScramSha256,
    /// The same with SHA-512.
    #[default]
    ScramSha512,
}

/// Sends blocks until `stop`, and then what waits, for a while.
pub async fn run(
    to: &Kafka,
    blocks: &Mutex<mpsc::Receiver<Vec<Exported>>>,
    counts: &Counts,
    stop: &Stop,
) {
    // What a session had taken when it broke.
    let kept = Mutex::new(VecDeque::new());
    let ends = async {
        stop.requested().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::pin!(ends);
    let (mut pause, mut complained) = (PAUSE.0, false);
    loop {
        let held = Held::default();
        let before = counts.delivered.load(Relaxed);
        let ended = tokio::select! {
            ended = session(to, (blocks, &kept, &held), counts, stop) => Some(ended),
            () = &mut ends => None,
        };
        kept.lock().await.extend(held.into_blocks());
        match ended {
            Some(Ok(())) => break,
            None => {
                tracing::warn!(topic = to.topic, "Kafka did not take in time what waited");
                break;
            }
            Some(Err(error)) => {
                counts.errors.fetch_add(1, Relaxed);
                if counts.delivered.load(Relaxed) > before {
                    (pause, complained) = (PAUSE.0, false);
                }
                if !std::mem::replace(&mut complained, true) {
                    let error = format!("{error:#}");
                    tracing::warn!(error, topic = to.topic, "Kafka takes no flows; they wait");
                }
            }
        }
        tokio::select! {
            () = &mut ends => break,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSE.1),
        }
    }
    let mut left: usize = kept.into_inner().iter().map(Vec::len).sum();
    let mut blocks = blocks.lock().await;
    while let Ok(block) = blocks.try_recv() {
        left += block.len();
    }
    counts.dropped.fetch_add(left as u64, Relaxed);
}

type Block = Vec<Exported>;

/// The block that each worker sends just now; it outlives a worker that is cancelled.
#[derive(Default)]
struct Held([std::sync::Mutex<Option<Block>>; MOST_WORKERS]);

impl Held {
    fn set(&self, worker: usize, block: Option<Block>) -> Option<Block> {
        let mut place = self.0[worker]
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        std::mem::replace(&mut *place, block)
    }

    fn into_blocks(self) -> impl Iterator<Item = Block> {
        self.0.into_iter().filter_map(|place| {
            place
                .into_inner()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
        })
    }
}

type Waiting<'a> = (
    &'a Mutex<mpsc::Receiver<Block>>,
    &'a Mutex<VecDeque<Block>>,
    &'a Held,
);

/// From the connection to the first failure; `Ok` once everything is sent and the service ends.
async fn session(
    to: &Kafka,
    waiting: Waiting<'_>,
    counts: &Counts,
    stop: &Stop,
) -> anyhow::Result<()> {
    let connected = timeout(PATIENCE, connect(to)).await;
    let partitions = connected.context("no answer in time")??;
    tracing::info!(
        topic = to.topic,
        partitions = partitions.len(),
        "connected to Kafka"
    );
    let mut own: [Vec<PartitionClient>; MOST_WORKERS] = Default::default();
    for (at, partition) in partitions.into_iter().enumerate() {
        own[at % MOST_WORKERS].push(partition);
    }
    let workers = own.iter().enumerate().filter(|(_, own)| !own.is_empty());
    let workers = workers.map(|(worker, own)| work(to, (worker, own), waiting, counts, stop));
    try_join_all(workers).await.map(|_| ())
}

async fn connect(to: &Kafka) -> anyhow::Result<Vec<PartitionClient>> {
    let mut builder = ClientBuilder::new(to.brokers.clone())
        .client_id("sotp-netflow")
        .max_message_size(LONGEST_ANSWER)
        .backoff_config(BackoffConfig {
            deadline: Some(PATIENCE / 3),
            ..BackoffConfig::default()
        });
    if let Some(tls) = &to.tls {
        builder = builder.tls_config(Arc::clone(tls));
    }
    if let Some(login) = &to.login {
        let password = login.password.current();
        let who = Credentials::new(login.username.clone(), password.reveal().to_owned());
        builder = builder.sasl_config(match login.mechanism {
            Mechanism::Plain => SaslConfig::Plain(who),
            Mechanism::ScramSha256 => SaslConfig::ScramSha256(who),
            Mechanism::ScramSha512 => SaslConfig::ScramSha512(who),
        });
    }
    let client: Client = builder.build().await.context("connect")?;
    let topics = client.list_topics().await.context("ask for topics")?;
    let topic = topics.into_iter().find(|topic| topic.name == to.topic);
    let topic = topic.with_context(|| format!("there is no topic {}", to.topic))?;
    let mut all = Vec::new();
    for partition in topic.partitions {
        let handling = UnknownTopicHandling::Error;
        let partition = client
            .partition_client(&*to.topic, partition, handling)
            .await;
        all.push(partition.context("find the leader of a partition")?);
    }
    anyhow::ensure!(!all.is_empty(), "the topic {} has no partition", to.topic);
    Ok(all)
}

/// Sends block after block, to one of its partitions after the other.
async fn work(
    to: &Kafka,
    (worker, own): (usize, &[PartitionClient]),
    (blocks, kept, held): Waiting<'_>,
    counts: &Counts,
    stop: &Stop,
) -> anyhow::Result<()> {
    let compression = match to.snappy {
        true => Compression::Snappy,
        false => Compression::NoCompression,
    };
    for partition in own.iter().cycle() {
        let left = kept.lock().await.pop_front();
        let block = match left {
            Some(block) => block,
            None => match next(blocks, stop).await {
                Some(block) => block,
                None => return Ok(()),
            },
        };
        let flows = block.len() as u64;
        let records = records(&block, to.flows_per_message);
        held.set(worker, Some(block));
        let produced = timeout(PATIENCE, partition.produce(records, compression)).await;
        produced.context("no answer in time")?.context("produce")?;
        held.set(worker, None);
        counts.delivered.fetch_add(flows, Relaxed);
    }
    Ok(())
}

/// The next block; `None` when the service ends and no more comes.
async fn next(blocks: &Mutex<mpsc::Receiver<Block>>, stop: &Stop) -> Option<Block> {
    let receive = async || blocks.lock().await.recv().await;
    tokio::select! {
        biased;
        block = receive() => block,
        () = stop.requested() => timeout(LAST_BLOCK, receive()).await.ok().flatten(),
    }
}

/// The records of a block.
fn records(block: &[Exported], flows_per_message: usize) -> Vec<Record> {
    let mut scratch = Vec::with_capacity(256);
    let messages = block.chunks(flows_per_message.max(1)).map(|flows| {
        let mut value = Vec::with_capacity(flows.len() * 128);
        for told in flows {
            protobuf::append(&mut value, &mut scratch, told);
        }
        let received = flows.first().map_or(0, |told| told.from.received_ns);
        Record {
            key: None,
            value: Some(value),
            headers: std::collections::BTreeMap::new(),
            timestamp: DateTime::<Utc>::from_timestamp_nanos(received.cast_signed()),
        }
    });
    messages.collect()
}
