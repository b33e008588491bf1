//! The largest packet that gets to a target in one piece: sizes are tried from above, by what the way says of each (RFC 1191, RFC 8201).

use netio::option::Family;

/// The first size that is tried: a frame of 9,000 bytes.
const FIRST: u32 = 9_000;
/// Requests of one measurement.
const TRIES: u8 = 8;

/// One measurement.
#[derive(Debug, Clone)]
pub(super) struct Mtu {
    size: u32,
    tries: u8,
    waiting: bool,
    silences: u8,
    result: Option<u32>,
}

impl Default for Mtu {
    fn default() -> Self {
        Self {
            size: FIRST,
            tries: 0,
            waiting: false,
            silences: 0,
            result: None,
        }
    }
}

impl Mtu {
    /// The size to send now, IP header counted; `None` while an answer is waited for, and when it is over.
    pub(super) fn next(&mut self) -> Option<u32> {
        if self.waiting || self.is_over() {
            return None;
        }
        self.waiting = true;
        self.tries += 1;
        Some(self.size)
    }

    /// Somebody said that `size` is too big and `fits` is not.
    pub(super) fn too_big(&mut self, size: u32, fits: u32) {
        self.waiting = false;
        self.silences = 0;
        // Who does not say how much fits leaves nothing to try.
        if (68..size).contains(&fits) {
            self.size = fits;
        } else {
            self.tries = TRIES;
        }
    }

    /// The target answered a packet of `size`.
    pub(super) fn fits(&mut self, size: u32) {
        self.waiting = false;
        self.result = Some(size);
    }

    /// Nobody answered: tried once more, and then unknown.
    pub(super) fn silent(&mut self) {
        self.waiting = false;
        self.silences += 1;
    }

    /// There is nothing to send.
    pub(super) fn is_over(&self) -> bool {
        !self.waiting && (self.result.is_some() || self.silences >= 2 || self.tries >= TRIES)
    }

    /// What fits; `None` when nothing was answered: too big and silently dropped.
    pub(super) fn result(&self) -> Option<u32> {
        self.result
    }
}

/// Bytes after the ICMP header of a packet of `size`.
pub(super) fn payload(family: Family, size: u32) -> usize {
    let headers = match family {
        Family::V4 => 20 + 8,
        Family::V6 => 40 + 8,
    };
    (size as usize).saturating_sub(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_link_is_found() {
        for links in [
            vec![9_000],
            vec![1_500, 1_400, 1_280],
            vec![1_500, 576, 1_400],
        ] {
            let mut mtu = Mtu::default();
            while let Some(size) = mtu.next() {
                match links.iter().find(|link| **link < size) {
                    Some(link) => mtu.too_big(size, *link),
                    None => mtu.fits(size),
                }
            }
            assert!(mtu.is_over());
            assert_eq!(mtu.result(), links.iter().min().copied());
        }
    }

    #[test]
    fn a_way_that_swallows_or_lies_comes_to_an_end() {
        for answer in [None, Some(0), Some(9_000), Some(67)] {
            let mut mtu = Mtu::default();
            let mut sent = 0;
            while let Some(size) = mtu.next() {
                sent += 1;
                match answer {
                    None => mtu.silent(),
                    Some(fits) => mtu.too_big(size, fits),
                }
            }
            assert!(mtu.is_over() && sent <= 2, "{answer:?}: {sent}");
            assert_eq!(mtu.result(), None);
        }
        let mut shrinking = Mtu::default();
        while let Some(size) = shrinking.next() {
            shrinking.too_big(size, size - 1);
        }
        assert!(shrinking.is_over());
    }
}
