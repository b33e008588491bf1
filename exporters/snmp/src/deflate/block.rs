//! Blocks with a code of their own, RFC 1951 §3.2.7.

use super::huffman::{codes, lengths};

/// An octet, or a repetition of what was said before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token(u32);

impl Token {
    /// One octet.
    pub(super) fn octet(octet: u8) -> Self {
        Self(u32::from(octet))
    }

    /// So many octets, 3 to 258, from at most 32,768 back.
    pub(super) fn repeat(len: usize, distance: usize) -> Self {
        Self((len as u32) << 16 | distance as u32)
    }

    /// How far back it lies; 0 for an octet.
    pub(super) fn distance(self) -> usize {
        if self.0 < 256 {
            0
        } else {
            (self.0 & 0xffff) as usize
        }
    }

    /// How many octets it stands for.
    pub(super) fn len(self) -> usize {
        if self.0 < 256 {
            1
        } else {
            (self.0 >> 16) as usize
        }
    }
}

/// The first length of each code from 257 on, and how many bits say which of those up to the next.
const LENGTHS: [(u16, u8); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];
/// The code of each length.
static CODE: [u8; 259] = {
    let (mut table, mut len, mut code) = ([0; 259], 3, 0);
    while len < 259 {
        if code < 28 && len >= LENGTHS[code + 1].0 as usize {
            code += 1;
        }
        table[len] = code as u8;
        len += 1;
    }
    table
};
/// The order in which the lengths of the code of lengths are told.
const ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// The code of a distance, how many bits say more, and these.
pub(super) fn distance_code(distance: usize) -> (usize, u8, u64) {
    let from = distance - 1;
    if from < 4 {
        return (from, 0, 0);
    }
    let more = from.ilog2() - 1;
    let code = 2 * (more as usize + 1) + ((from >> more) & 1);
    (code, more as u8, (from & ((1 << more) - 1)) as u64)
}

/// What is written, from the lowest bit of each octet on.
#[derive(Debug, Default)]
pub(super) struct Bits {
    out: Vec<u8>,
    /// Octets of `out` that are whole.
    whole: usize,
    held: u64,
    count: u32,
}

impl Bits {
    /// Writes at most 48 bits, for which there is room.
    #[inline]
    fn put(&mut self, bits: u64, count: u8) {
        self.held |= bits << self.count;
        self.count += u32::from(count);
        self.out[self.whole..self.whole + 8].copy_from_slice(&self.held.to_le_bytes());
        self.whole += (self.count >> 3) as usize;
        self.held >>= self.count & !7;
        self.count &= 7;
    }

    /// What is written from now on stands behind these octets.
    pub(super) fn after(octets: &[u8]) -> Self {
        Self {
            out: octets.to_vec(),
            whole: octets.len(),
            ..Self::default()
        }
    }

    /// What was written, to the next whole octet.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let rest = usize::from(self.count > 0);
        self.out.truncate(self.whole + rest);
        self.out
    }

    /// Writes a block; `last` says that none follows.
    pub(super) fn block(&mut self, tokens: &[Token], last: bool) {
        let (mut symbols, mut distances) = ([0; 286], [0; 30]);
        let mut more = 0;
        for token in tokens {
            if token.0 < 256 {
                symbols[token.0 as usize] += 1;
            } else {
                let code = usize::from(CODE[token.len()]);
                symbols[257 + code] += 1;
                let (of_distance, bits, _) = distance_code(token.distance());
                distances[of_distance] += 1;
                more += usize::from(bits + LENGTHS[code].1);
            }
        }
        symbols[256] = 1;
        let (mut of_symbols, mut of_distances) = ([0; 286], [0; 30]);
        lengths(&symbols, 15, &mut of_symbols);
        lengths(&distances, 15, &mut of_distances);
        let total = |frequencies: &[u32], lengths: &[u8]| -> usize {
            let each = frequencies.iter().zip(lengths);
            each.map(|(frequency, length)| *frequency as usize * usize::from(*length))
                .sum()
        };
        let bits = total(&symbols, &of_symbols) + total(&distances, &of_distances) + more;
        // The codes themselves take less than 316 times 14 bits; eight octets are written at a time.
        self.out.resize(self.whole + bits / 8 + 600, 0);
        self.put(u64::from(last) | 2 << 1, 3);
        self.code(&of_symbols, &of_distances);
        let (mut symbols, mut distances) = ([(0, 0); 286], [(0, 0); 30]);
        codes(&of_symbols, &mut symbols);
        codes(&of_distances, &mut distances);
        for token in tokens {
            if token.0 < 256 {
                let (bits, count) = symbols[token.0 as usize];
                self.put(bits.into(), count);
                continue;
            }
            let code = usize::from(CODE[token.len()]);
            let (first, more) = LENGTHS[code];
            let (mut bits, mut count) = (0, 0);
            let mut add = |value: u64, length: u8| {
                bits |= value << count;
                count += length;
            };
            let (symbol, length) = symbols[257 + code];
            add(symbol.into(), length);
            add((token.len() - usize::from(first)) as u64, more);
            let (code, more, which) = distance_code(token.distance());
            let (symbol, length) = distances[code];
            add(symbol.into(), length);
            add(which, more);
            self.put(bits, count);
        }
        let (bits, count) = symbols[256];
        self.put(bits.into(), count);
    }

    /// Tells the lengths of both codes, runs of the same as such.
    fn code(&mut self, symbols: &[u8; 286], distances: &[u8; 30]) {
        let used = |lengths: &[u8], least: usize| {
            let last = lengths.iter().rposition(|length| *length > 0);
            last.map_or(least, |last| least.max(last + 1))
        };
        let (symbols, distances) = (
            &symbols[..used(symbols, 257)],
            &distances[..used(distances, 1)],
        );
        let all: Vec<u8> = [symbols, distances].concat();
        // A symbol, and the bits behind it.
        let mut runs: Vec<(u8, u8, u8)> = Vec::with_capacity(all.len());
        for run in all.chunk_by(|one, other| one == other) {
            let (length, mut left) = (run[0], run.len());
            if length > 0 {
                runs.push((length, 0, 0));
                left -= 1;
            }
            while left >= 3 {
                let (symbol, bits, least, most) = match (length, left) {
                    (0, 11..) => (18, 7, 11, 138),
                    (0, _) => (17, 3, 3, 10),
                    _ => (16, 2, 3, 6),
                };
                let taken = left.min(most);
                runs.push((symbol, bits, (taken - least) as u8));
                left -= taken;
            }
            runs.extend(std::iter::repeat_n((length, 0, 0), left));
        }
        let mut frequencies = [0; 19];
        for (symbol, ..) in &runs {
            frequencies[usize::from(*symbol)] += 1;
        }
        let (mut of_lengths, mut code) = ([0; 19], [(0, 0); 19]);
        lengths(&frequencies, 7, &mut of_lengths);
        codes(&of_lengths, &mut code);
        let told = ORDER
            .iter()
            .rposition(|symbol| of_lengths[*symbol] > 0)
            .unwrap_or(0)
            .max(3)
            + 1;
        self.put((symbols.len() - 257) as u64, 5);
        self.put((distances.len() - 1) as u64, 5);
        self.put((told - 4) as u64, 4);
        for symbol in &ORDER[..told] {
            self.put(of_lengths[*symbol].into(), 3);
        }
        for (symbol, more, which) in runs {
            let (bits, count) = code[usize::from(symbol)];
            self.put(bits.into(), count);
            self.put(which.into(), more);
        }
    }
}
