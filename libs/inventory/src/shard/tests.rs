//! Sharding: each device in one shard, and few that move.
