//! Reads the datagrams of a file, each behind its length (two octets), again and again for so many seconds, and prints how many records it read
//! in each second of its processor time.

mod records;

use std::time::Instant;

use netflow_parser::NetflowParser;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (file, seconds) = (arguments.next().ok_or("which file?")?, arguments.next());
    let seconds: f64 = seconds.ok_or("for how long?")?.parse()?;
    let bytes = std::fs::read(file)?;
    let mut datagrams = Vec::new();
    let mut rest = &*bytes;
    while let [high, low, more @ ..] = rest {
        let (datagram, behind) = more.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        datagrams.push(datagram);
        rest = behind;
    }
    let mut parser = NetflowParser::default();
    let (mut all, begin, started) = (0_u64, processor_seconds()?, Instant::now());
    while started.elapsed().as_secs_f64() < seconds {
        for datagram in &datagrams {
            for packet in &parser.parse_bytes(datagram).packets {
                all += records::count(packet);
            }
        }
    }
    println!("{}", all as f64 / (processor_seconds()? - begin));
    Ok(())
}

/// Of this process.
fn processor_seconds() -> std::io::Result<f64> {
    // `schedstat` begins with the nanoseconds that the one thread of this program ran.
    let text = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok());
    Ok(nanoseconds.unwrap_or(0.0_f64) / 1e9)
}
