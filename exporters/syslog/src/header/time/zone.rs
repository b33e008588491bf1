//! Names of time zones and offsets.

use crate::header::scan::digits;

/// Names of zones that devices write, in minutes east of UTC. Ambiguous ones have their most common meaning in networks.
const ZONES: [(&str, i32); 62] = [
    ("UTC", 0),
    ("GMT", 0),
    ("Z", 0),
    ("WET", 0),
    ("WEST", 60),
    ("BST", 60),
    ("CET", 60),
    ("CEST", 120),
    ("MET", 60),
    ("MEST", 120),
    ("METDST", 120),
    ("MSD", 240),
    ("EET", 120),
    ("EEST", 180),
    ("MSK", 180),
    ("SAST", 120),
    ("EAT", 180),
    ("IST", 330),
    ("PKT", 300),
    ("GST", 240),
    ("SGT", 480),
    ("HKT", 480),
    ("AWST", 480),
    ("PHT", 480),
    ("WIB", 420),
    ("ICT", 420),
    ("JST", 540),
    ("KST", 540),
    ("AEST", 600),
    ("AEDT", 660),
    ("NZST", 720),
    ("NZDT", 780),
    ("EST", -300),
    ("EDT", -240),
    ("CST", -360),
    ("CDT", -300),
    ("MST", -420),
    ("MDT", -360),
    ("PST", -480),
    ("PDT", -420),
    ("AST", -240),
    ("BRT", -180),
    ("AKST", -540),
    ("AKDT", -480),
    ("HST", -600),
    ("HDT", -540),
    ("ADT", -180),
    ("NST", -210),
    ("NDT", -150),
    ("ART", -180),
    ("CLT", -240),
    ("CLST", -180),
    ("COT", -300),
    ("PET", -300),
    ("TRT", 180),
    ("AZT", 240),
    ("NPT", 345),
    ("WITA", 480),
    ("WIT", 540),
    ("ACST", 570),
    ("ACDT", 630),
    ("ChST", 600),
];

/// A zone behind a time; gives its offset when it is known.
pub(super) fn zone(text: &str) -> Option<(Option<i32>, &str)> {
    let rest = text.strip_prefix(' ').unwrap_or(text);
    let spaced = rest.len() != text.len();
    if let Some(sign) = rest.bytes().next().filter(|b| matches!(b, b'+' | b'-')) {
        let (hours, behind) = digits(&rest[1..]);
        let (hours, minutes, behind) = match (hours.len(), behind.strip_prefix(':')) {
            (1, Some(more)) if digits(more).0.len() == 2 => {
                let (minutes, behind) = digits(more);
                (hours, minutes, behind)
            }
            (4, _) => (&hours[..2], &hours[2..], behind),
            (2, Some(more)) => {
                let (minutes, behind) = digits(more);
                if minutes.len() == 2 {
                    (hours, minutes, behind)
                } else {
                    (hours, "00", behind)
                }
            }
            (2, None) => (hours, "00", behind),
            _ => return None,
        };
        let seconds = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
        return Some((Some(if sign == b'-' { -seconds } else { seconds }), behind));
    }
    let end = rest
        .bytes()
        .position(|b| !b.is_ascii_uppercase())
        .unwrap_or(rest.len());
    let (word, behind) = rest.split_at(end);
    if word.is_empty() || word.len() > 6 || !(spaced || word == "Z") {
        return None;
    }
    let ends = behind.is_empty() || behind.starts_with([' ', ':']);
    match ZONES.iter().find(|z| z.0 == word) {
        // `UTC+2`, `GMT+08:00`
        Some((_, 0)) if behind.starts_with(['+', '-']) => zone(behind),
        Some((_, minutes)) if ends => Some((Some(minutes * 60), behind)),
        // A zone that an operator named; without the colon it may be the device's name.
        None if word.len() >= 2 && (behind.starts_with(": %") || behind.starts_with(" : %")) => {
            Some((None, behind))
        }
        _ => None,
    }
}
