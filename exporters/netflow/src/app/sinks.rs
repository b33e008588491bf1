//! The tasks that bring single flows to Loki and to Kafka.

use std::sync::Arc;

use loki::Lines;
use tokio::sync::Mutex;
use toolkit::{App, Live, OnEnd};

use crate::config::Config;
use crate::sinks::{BLOCK, Sink, kafka, lines};

/// Opens the sinks of the configuration; the collector is to fill them.
///
/// # Errors
/// The queue on disk cannot be used.
pub(super) fn open(
    app: &mut App,
    live: &Live<Config>,
    config: &Config,
) -> anyhow::Result<Vec<Sink>> {
    let mut all = Vec::new();
    if let Some(to) = &config.flows_to_loki {
        let (sink, blocks) = Sink::new("loki", to.selection.clone(), (BLOCK, 8 * BLOCK));
        let queue = Lines::open(
            app,
            "netflow_flow",
            (&to.queue, &config.base),
            live,
            |config: &Config| config.loki.clone(),
            || lines::Shown,
        )?;
        let (counts, blocks) = (Arc::clone(&sink.counts), Arc::new(Mutex::new(blocks)));
        let per_second = to.per_second;
        app.spawn("flows_to_loki", OnEnd::Restart, move |stop| {
            let (queue, counts, blocks) = (queue.clone(), Arc::clone(&counts), Arc::clone(&blocks));
            async move {
                let mut blocks = blocks.lock().await;
                lines::run(&queue, &mut blocks, per_second, &counts, &stop).await;
                Ok(())
            }
        });
        all.push(sink);
    }
    if let Some(to) = &config.flows_to_kafka {
        let block = BLOCK.max(to.kafka.flows_per_message);
        let (sink, blocks) = Sink::new("kafka", to.selection.clone(), (block, to.waiting));
        let (counts, blocks) = (Arc::clone(&sink.counts), Arc::new(Mutex::new(blocks)));
        let to = Arc::new(to.kafka.clone());
        app.spawn("flows_to_kafka", OnEnd::Restart, move |stop| {
            let (to, counts, blocks) = (Arc::clone(&to), Arc::clone(&counts), Arc::clone(&blocks));
            async move {
                kafka::run(&to, &blocks, &counts, &stop).await;
                Ok(())
            }
        });
        all.push(sink);
    }
    Ok(all)
}
