//! Any bytes as what an ICMP socket hands out: replies, quoted requests, control messages.

use netio::control::Control;
use netio::option::Family;
use sotp_ping::echo::{self, Mode};
use sotp_ping::path::wire;

crate::target!(|bytes: &[u8]| {
    if let Some(entry) = Control::decode(bytes).entry {
        let _ = wire::told(&entry);
    }
    let Some((token, rest)) = bytes.split_first_chunk::<8>() else {
        return;
    };
    for family in [Family::V4, Family::V6] {
        for mode in [Mode::Unprivileged, Mode::Raw] {
            if let Some(reply) = echo::decode_reply(family, mode, rest) {
                let _ = echo::decode_tag(*token, reply.payload);
                let _ = echo::is_whole(reply.payload, reply.payload.len());
            }
        }
        let _ = echo::decode_quote(family, *token, rest);
        let _ = wire::reply(family, *token, rest);
        let _ = wire::quoted(family, *token, rest);
    }
    let _ = echo::find_tag(*token, rest);
});
