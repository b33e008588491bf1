//! Codes of least length, RFC 1951 §3.2.2.

/// The lengths of a code for symbols of these frequencies, none longer than `limit`: at least two symbols get one, since decoders want a
/// whole code.
pub(super) fn lengths(frequencies: &[u32], limit: usize, out: &mut [u8]) {
    out.fill(0);
    // Frequency and symbol in one number, so that sorting compares one.
    let mut symbols: Vec<u64> = (0u64..)
        .zip(frequencies)
        .filter(|(_, frequency)| **frequency > 0)
        .map(|(symbol, frequency)| u64::from(*frequency) << 16 | symbol)
        .collect();
    for symbol in 0..2 {
        if symbols.len() < 2 && frequencies[symbol as usize] == 0 {
            symbols.push(symbol);
        }
    }
    symbols.sort_unstable();
    let leaves = symbols.len();
    // Leaves in order, then the nodes made of the two lightest, which come in order by themselves.
    let mut weights: Vec<u64> = symbols.iter().map(|symbol| symbol >> 16).collect();
    let mut parents = vec![0; 2 * leaves - 1];
    let (mut leaf, mut node) = (0, leaves);
    for made in leaves..2 * leaves - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            let of_leaves = leaf < leaves && (node >= made || weights[leaf] <= weights[node]);
            let next = if of_leaves { &mut leaf } else { &mut node };
            parents[*next] = made;
            weight += weights[*next];
            *next += 1;
        }
        weights.push(weight);
    }
    let mut depths = vec![0; 2 * leaves - 1];
    let mut counts = [0usize; 16];
    for at in (0..2 * leaves - 2).rev() {
        depths[at] = depths[parents[at]] + 1;
        if at < leaves {
            counts[limit.min(depths[at])] += 1;
        }
    }
    // Those cut short take room that others give back: each step makes one code of a shorter length two of the next.
    let mut taken: usize = (1..=limit)
        .map(|length| counts[length] << (limit - length))
        .sum();
    while taken > 1 << limit {
        let Some(shorter) = (1..limit).rev().find(|length| counts[*length] > 0) else {
            break;
        };
        counts[shorter] -= 1;
        counts[shorter + 1] += 2;
        counts[limit] -= 1;
        taken -= 1;
    }
    let by_length = (1..=limit)
        .rev()
        .flat_map(|length| std::iter::repeat_n(length as u8, counts[length]));
    for (symbol, length) in symbols.iter().zip(by_length) {
        out[(symbol & 0xffff) as usize] = length;
    }
}

/// The code of these lengths: bits in the order in which they are written, and how many.
pub(super) fn codes(lengths: &[u8], out: &mut [(u16, u8)]) {
    let mut counts = [0u16; 16];
    for length in lengths {
        counts[usize::from(*length)] += 1;
    }
    counts[0] = 0;
    let mut next = [0u16; 16];
    for length in 1..16 {
        next[length] = (next[length - 1] + counts[length - 1]) << 1;
    }
    for (length, code) in lengths.iter().zip(out) {
        if *length > 0 {
            let bits = &mut next[usize::from(*length)];
            *code = (bits.reverse_bits() >> (16 - length), *length);
            *bits += 1;
        }
    }
}
